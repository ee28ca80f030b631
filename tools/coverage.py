#!/usr/bin/env python3
"""Line coverage of unit and conformance tests per module, with a floor for the modules whose
mistakes are the dearest. Needs gcovr. The report per file is build/coverage/report.txt.
"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/coverage"
# Percent of lines. What is missing there are failures of the machine that a test cannot make.
FLOORS = {"base": 97, "codec": 90, "crypto": 95, "config": 90, "model": 85, "health": 95, "db": 80, "server": 75}


def run(*command):
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)


def module_of(path):
    parts = path.split("/")
    return "/".join(parts[1:3]) if parts[1] == "connectors" else parts[1]


def main():
    run("./dev", "build", "coverage")
    for old in BUILD.rglob("*.gcda"):
        old.unlink()
    run("meson", "test", "-C", str(BUILD), "--no-rebuild", "--print-errorlogs")
    run("gcovr", "-r", ".", "--object-directory", str(BUILD), "--filter", "src/", "-j", "2",
        "--txt", str(BUILD / "report.txt"), "--json-summary", str(BUILD / "summary.json"))
    modules = {}
    for entry in json.loads((BUILD / "summary.json").read_text())["files"]:
        covered, total = modules.get(module_of(entry["filename"]), (0, 0))
        modules[module_of(entry["filename"])] = (covered + entry["line_covered"], total + entry["line_total"])
    failed = 0
    for name, (covered, total) in sorted(modules.items()):
        percent, floor = 100 * covered / max(total, 1), FLOORS.get(name, 0)
        bad = percent < floor
        failed += bad
        print(f"{'FAIL' if bad else 'ok  '} {name:24} {percent:5.1f} % of {total:5} lines"
              + (f", at least {floor} %" if floor else ""))
    print(f"{len(modules) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
