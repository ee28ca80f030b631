#!/usr/bin/env python3
"""What reads the code without running it: gcc's analyzer, cppcheck and clang's analyzer, over all
sources that Meson compiles in build/dev, on all cores.

    analyze.py [gcc] [cppcheck] [clang]     all, or only the named ones

gcc -fanalyzer runs at -O0, where it follows the source: inlined code makes it find faults on paths
that do not exist. A file whose preprocessed text was clean before is not read again (build/tidy/).
cppcheck looks for warning, performance and portability; its style is clang-format's and
clang-tidy's business.

A finding that is none is listed with its reason in tools/findings.txt; an entry that no longer
applies fails.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

import tidy

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ROOT / "tools/findings.txt"
# Switched off in gcc 12, with why. Everything else that -fanalyzer has is on.
GCC_OFF = {
    "-Wno-analyzer-too-complex": "says that it gave up, not that something is wrong",
}
CPPCHECK = ["cppcheck", "--quiet", "--enable=warning,performance,portability", "--std=c11", "-D__cppcheck__=1",
            "--template={file}:{line}: {id}: {message}", "--suppress=*:*/build/*"]


def relative(path, start):
    return os.path.relpath(os.path.join(start, path), ROOT)


def parse(text, start, pattern):
    """[(path, line, rule, message)] of the findings in sources of ours."""
    found = []
    for match in re.finditer(pattern, text, re.M):
        path = relative(match.group("path"), start)
        if path.startswith(("src/", "peoplesim/")):
            found.append((path, int(match.group("line")), match.group("rule"), match.group("text")))
    return found


GCC = r"^(?P<path>[^\s:]+):(?P<line>\d+):\d+: (?:warning|error): (?P<text>.*?)(?: \[CWE-\d+\])? \[(?P<rule>-Wanalyzer[\w-]*)\]$"
PLAIN = r"^(?P<path>[^\s:]+):(?P<line>\d+): (?P<rule>\w+): (?P<text>.*)$"


# ---- gcc -------------------------------------------------------------------------------------


def examine(job):
    path, command, source = job
    plain = [w for w in command if not re.match(r"-O|-g|-W|-M|\S+\.d$", w) and w != "-MQ"]
    flags = ["-O0", "-DPST_ANALYZER", "-fanalyzer", *GCC_OFF, "-fdiagnostics-plain-output",
             "-fdiagnostics-path-format=none", "-c", "-o", os.devnull]
    mark = tidy.CLEAN / tidy.key_of([*plain, *flags[:-2]], source, "gcc")
    if mark.exists():
        return []
    done = subprocess.run([*plain, *flags, source], cwd=tidy.BUILD, capture_output=True, text=True, check=False)
    found = parse(done.stderr, tidy.BUILD, GCC)
    if done.returncode != 0 and not found:
        found = [(path, 1, "failed", done.stderr.strip())]
    if not found:
        mark.touch()
    return found


def run_gcc():
    tidy.CLEAN.mkdir(parents=True, exist_ok=True)
    jobs = {path: (path, command[:command.index("-MD")] if "-MD" in command else command, source)
            for path, command, source in tidy.compiled_files()}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return [finding for found in pool.map(examine, [jobs[path] for path in sorted(jobs)]) for finding in found]


# ---- cppcheck ----------------------------------------------------------------------------------


def run_cppcheck():
    cache = ROOT / "build/cppcheck"
    cache.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([*CPPCHECK, f"--project={tidy.BUILD}/compile_commands.json", "-j", str(os.cpu_count() or 2),
                           f"--cppcheck-build-dir={cache}", "-i", "tests", "-i", "bench"],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    found = parse(done.stdout + done.stderr, ROOT, PLAIN)
    if done.returncode != 0 and not found:
        found = [("src/", 1, "failed", (done.stdout + done.stderr).strip())]
    return found


# ---- judging -----------------------------------------------------------------------------------


def read_list(text):
    """{(rule, path, line of the source): reason}"""
    entries = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            rule, _, rest = line.partition(" | ")
            path, _, rest = rest.partition(" | ")
            quoted, _, reason = rest.rpartition(" | ")
            parts = [part.strip() for part in (rule, path, quoted, reason)]
            if not all(parts):
                raise ValueError(f"{LIST.name}: not `rule | path | line of the source | reason`: {line}")
            entries[tuple(parts[:3])] = parts[3]
    return entries


def judge(found, entries, text_of):
    """The findings that are not listed, and the entries that did not apply."""
    used, left = set(), []
    for path, number, rule, text in found:
        lines = text_of(path)
        key = (rule, path, lines[number - 1] if number <= len(lines) else "")
        if key in entries:
            used.add(key)
        else:
            left.append((path, number, rule, text))
    return left, sorted(set(entries) - used)


def source_lines(path):
    file = ROOT / path
    return [line.strip() for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []


TOOLS = {"gcc": run_gcc, "cppcheck": run_cppcheck}


def main(arguments):
    chosen = arguments or [*TOOLS, "clang"]
    found = [finding for name in chosen if name in TOOLS for finding in TOOLS[name]()]
    entries = {key: reason for key, reason in read_list(LIST.read_text()).items()
               if ("gcc" if key[0].startswith("-W") else "cppcheck") in chosen}
    left, unused = judge(found, entries, source_lines)
    for path, number, rule, text in left:
        print(f"{path}:{number}: {rule}: {text}")
    for rule, path, quoted in unused:
        print(f"tools/findings.txt: no longer needed: {rule} | {path} | {quoted}")
    status = tidy.main(["--analyze"]) if "clang" in chosen else 0
    print(f"gcc and cppcheck: {len(left)} findings, {len(entries)} listed as none, {len(unused)} of them in vain")
    failed = bool(left) + bool(unused) + status
    print(f"{len(chosen) - min(failed, len(chosen))} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
