#!/usr/bin/env python3
"""Reads the release binaries: hardened, no build path inside, small. Needs ./dev build release."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
MAX_BYTES = 5 * 1000 * 1000  # product.md: at most 5 MB stripped


def readelf(path, *what):
    return subprocess.run(["readelf", "-W", *what, path], capture_output=True, text=True, check=True).stdout


def faults(path):
    header, program, dynamic = readelf(path, "-h"), readelf(path, "-l"), readelf(path, "-d")
    symbols = readelf(path, "--dyn-syms")
    stack = [line for line in program.splitlines() if "GNU_STACK" in line]
    yield "position independent", "DYN (" in header
    yield "read-only relocations", "GNU_RELRO" in program
    yield "bound at start", "NOW" in dynamic
    yield "no executable stack", stack and "RWE" not in stack[0]
    yield "stack protector", "__stack_chk_fail" in symbols
    yield "fortified libc calls", "_chk@" in symbols
    yield "no absolute search path", str(ROOT) not in dynamic.replace(str(ROOT / "build/deps"), "")
    stripped = path.parent / (path.name + ".stripped")
    subprocess.run(["strip", "-o", stripped, path], check=True)
    size = stripped.stat().st_size
    stripped.unlink()
    yield f"at most 5 MB stripped ({size / 1e6:.2f} MB)", size <= MAX_BYTES


def main():
    from harness import programs
    programs.BUILD = ROOT / "build/release"
    passed = failed = 0
    for name in ("penstock", "peoplesim"):
        for what, fine in faults(programs.binary(name)):
            print(f"{'ok  ' if fine else 'FAIL'} {name}: {what}")
            passed, failed = passed + bool(fine), failed + (not fine)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
