#!/usr/bin/env python3
"""clang-tidy 19 over the sources that Meson compiles in build/dev, on all cores.

A file whose preprocessed text and settings passed before is not read again: build/tidy/ keeps
one empty file per text that was clean.

    tidy.py [path ...]              the quick checks; only files whose path begins so
    tidy.py --analyze [path ...]    only clang's analyzer, which takes ten times as long
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "dev"
CLEAN = ROOT / "build" / "tidy"
TIDY = "clang-tidy-19"
QUICK, ANALYZE = "-clang-analyzer-*", "-bugprone-*,-cert-*,-concurrency-*,-readability-*"


def compiled_files():
    """(path from the root, compile command without output) of each source of ours."""
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        path = os.path.relpath(pathlib.Path(entry["directory"]) / entry["file"], ROOT)
        if path.startswith(("src/", "peoplesim/")):
            words = shlex.split(entry["command"])
            words = words[1:] if words[0].endswith("ccache") else words
            yield path, words[:words.index("-o")] if "-o" in words else words, entry["file"]


def key_of(command, source, switched_off):
    plain = [w for w in command if not w.startswith(("-M", "-W"))]
    text = subprocess.run([*plain, "-E", "-P", source], cwd=BUILD, capture_output=True, check=False).stdout
    settings = (ROOT / ".clang-tidy").read_bytes()
    return hashlib.sha256(switched_off.encode() + settings + text).hexdigest()


def examine(job):
    path, command, source, switched_off = job
    mark = CLEAN / key_of(command, source, switched_off)
    if mark.exists():
        return path, ""
    done = subprocess.run([TIDY, "--quiet", f"--checks={switched_off}", "-p", str(BUILD), "--extra-arg=-Wno-unknown-warning-option",
                           str(ROOT / path)], capture_output=True, text=True, check=False)
    # What it finds inside a library's header is that library's, or a path it does not understand.
    findings = re.split(r"^(?=\S+:\d+:\d+: (?:error|warning): )", done.stdout, flags=re.M)
    ours = [f for f in findings[1:] if re.match(r"(?:\.\./)*(?:/\S*/)?(?:src|peoplesim)/", f)]
    if ours or (done.returncode != 0 and len(findings) == 1):
        return path, "".join(ours).strip() or done.stdout + done.stderr
    mark.touch()
    return path, ""


def main(arguments):
    CLEAN.mkdir(parents=True, exist_ok=True)
    switched_off = ANALYZE if "--analyze" in arguments else QUICK
    prefixes = [a for a in arguments if not a.startswith("-")]
    jobs = {path: (path, command, source, switched_off) for path, command, source in compiled_files()
            if not prefixes or path.startswith(tuple(prefixes))}
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for path, output in pool.map(examine, [jobs[path] for path in sorted(jobs)]):
            if output:
                bad += 1
                print(f"{path}:\n{output}\n", flush=True)
    print(f"{len(jobs)} files, {bad} with findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
