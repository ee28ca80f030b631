#!/usr/bin/env python3
"""Every unit test again, with another allocation failing each time (tests/unit/torture.c).

    torture.py [--full]

Prints what went wrong, how to repeat it, what was not tried, and `N passed, N failed` over the test programs.
PST_BUILD chooses the build; where it has ASan, memory that is lost when a test fails is found, too. Eight
allocations of each test fail, spread over all; --full: every one, which takes hours.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / os.environ.get("PST_BUILD", "build/dev")
FULL = "--full" in sys.argv
POINTS = str(2**31 - 2) if FULL else "8"
SECONDS = None if FULL else 1800
EXCUSED = {"server/limits": "a server's thread goes on with the fixture on the stack that a failed assertion has left; "
                            "what an allocation failing there does is tested by hand in server/serve"}


def programs():
    """Name and command of each unit test."""
    listed = subprocess.run(["meson", "introspect", "--tests", str(BUILD)], capture_output=True, text=True, check=True)
    for test in json.loads(listed.stdout):
        if any(s.endswith("unit") for s in test["suite"]) and not test["name"].startswith("fuzz/") \
                and test["name"] not in EXCUSED:
            yield test["name"], test["cmd"], test["env"]


def run(test):
    """Its name, the sums of the program's last lines, what was not tried, and what was wrong."""
    name, command, env = test
    try:
        done = subprocess.run(command, env={**os.environ, **env, "PST_TORTURE": POINTS}, capture_output=True,
                              cwd=BUILD, text=True, errors="replace", timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return name, None, [], [f"TORTURE the program does not end within {SECONDS} s"]
    ends = re.findall(r"^TORTURED \d+ tests, (\d+) runs, (\d+) faults met, (\d+) bad, (\d+) not tried$", done.stdout, re.M)
    bad = re.findall(r"^TORTURE .*$", done.stdout, re.M)
    skipped = re.findall(r"^NOT TRIED (.*)$", done.stdout, re.M)
    if not ends or (done.returncode != 0 and not bad):
        bad.append(f"TORTURE the program ended with {done.returncode}: {done.stderr[-300:]}")
    return name, [sum(map(int, column)) for column in zip(*ends)] if ends else None, skipped, bad


def main():
    passed = failed = runs = met = skipped_tests = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, counts, skipped, bad in pool.map(run, programs()):
            passed, failed = passed + (not bad), failed + bool(bad)
            runs, met = runs + (counts[0] if counts else 0), met + (counts[1] if counts else 0)
            skipped_tests += counts[3] if counts else 0
            for line in skipped:
                print(f"not tried: {name}: {line}")
            for line in bad:
                print(f"{name}: {line.removeprefix('TORTURE ')}")
    for name, why in EXCUSED.items():
        print(f"not tried: {name}, all of it: {why}")
    print(f"{runs} runs, {met} allocations failed; not tried: {skipped_tests} tests and {len(EXCUSED)} program")
    if not met:
        print("no allocation failed: this finds nothing")
        failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
