#!/usr/bin/env python3
"""The coverage gate: lines and branches that no test reaches, per file and per module.

    coverage.py                     build, all tests, judge every module
    coverage.py --unit              only unit and conformance tests; judge the strict files
    coverage.py --unit sync/plan    the unit tests of `sync` alone; judge the files that begin so
    coverage.py --report [...]      what the last run left, judged again

The strict files (STRICT) need every line and every branch, by unit and conformance tests alone.
Every other module needs LINES percent of its lines; there the end-to-end tests count too, because
they are where programs and their parts meet. What cannot be reached is listed with its reason in
tools/uncovered.txt; an entry that is reached, or gone, is a failure.

gcov counts the branches of -O0, so they are those of the source; `throw` branches are dropped.
It is asked directly and in JSON: half a second for the whole tree, where gcovr 5.2 takes minutes.
The numbers of the last run lie in build/coverage/{unit,all}.json, the list of what is missing in
build/coverage/missing.txt.
"""
import collections
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/coverage"
EXCUSES = ROOT / "tools/uncovered.txt"

# 100 % of lines and branches: what decides without doing I/O.
STRICT = ("src/base/", "src/codec/", "src/crypto/", "src/model/",
          "src/sync/sched.", "src/sync/schedule.", "src/sync/plan.", "src/sync/merge.",
          "src/webhook/plan.", "src/api/rate.", "src/cli/retry.", "src/http/turns.",
          "src/health/diagnose.", "src/health/detect.", "src/health/backoff.", "src/health/breaker.",
          "src/health/health.", "src/health/probes.", "src/health/telling.")
# Percent of lines of every other module by itself; --report prints where each stands.
LINES = 90
# Modules that are not there yet, with their floor and why.
LOWER = {
    # 39 of its 600 lines are of Landlock, which many a kernel that runs the tests does not have, and
    # what is confined cannot write its counts.
    "os": 85,
}


def run(*command, **more):
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL, **more)


# ---- measuring ---------------------------------------------------------------------------------


def forget():
    for old in BUILD.rglob("*.gcda"):
        old.unlink()


def measure():
    """{path: {line: [count, [count of each branch]]}} of every source below src/, from what the
    programs left so far. A function of a header is in many objects; its counts are added up."""
    objects = sorted(str(path.relative_to(BUILD)) for path in BUILD.rglob("*.gcno"))
    files = {}
    for start in range(0, len(objects), 50):
        done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities",
                               *objects[start:start + 50]], cwd=BUILD, capture_output=True, text=True, check=True)
        for document in done.stdout.splitlines():
            if document.startswith("{"):
                add_up(files, json.loads(document))
    return {path: {line: [sum(c for c, _ in made.values()), [b for _, branches in made.values() for b in branches]]
                   for line, made in lines.items()} for path, lines in files.items()}


def add_up(files, document):
    for file in document["files"]:
        path = os.path.relpath(BUILD / file["file"], ROOT)
        if not path.startswith("src/"):
            continue
        lines = files.setdefault(path, collections.defaultdict(dict))
        for line in file["lines"]:
            branches = [branch["count"] for branch in line["branches"] if not branch["throw"]]
            name = line.get("function_name", "")
            had, had_branches = lines[line["line_number"]].get(name, (0, [0] * len(branches)))
            if len(had_branches) == len(branches):
                branches = [a + b for a, b in zip(had_branches, branches)]
            lines[line["line_number"]][name] = (had + line["count"], branches)


# ---- judging -----------------------------------------------------------------------------------


def is_strict(path):
    return path.startswith(STRICT)


def module_of(path):
    parts = path.split("/")
    return "/".join(parts[1:3]) if parts[1] == "connectors" else parts[1]


def read_excuses(text):
    """[(path, line of the source, reason)]; a line of the source stands for all that read alike."""
    found = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            path, _, rest = line.partition(" | ")
            quoted, _, reason = rest.rpartition(" | ")  # the quoted line may have bars of its own
            parts = [path.strip(), quoted.strip(), reason.strip()]
            if not all(parts):
                raise ValueError(f"{EXCUSES.name}: not `path | line of the source | reason`: {line}")
            found.append(tuple(parts))
    return found


def missing_in(lines, texts):
    """[(line number, what is missing there)] of one file; texts are its lines, stripped."""
    for number, (count, branches) in sorted(lines.items()):
        text = texts[number - 1] if number <= len(texts) else ""
        if count == 0:
            yield number, text, "never executed"
        elif 0 in branches:
            never = [str(i) for i, taken in enumerate(branches) if taken == 0]
            yield number, text, f"branch {', '.join(never)} of 0..{len(branches) - 1} never taken"


def judge_strict(files, excuses, text_of):
    """What is missing as [(path, line, text, what)] without what is excused; and the excuses
    that did not apply."""
    reasons = {(path, quoted) for path, quoted, _ in excuses}
    used, found, excused = set(), [], 0
    for path in sorted(filter(is_strict, files)):
        for number, text, what in missing_in(files[path], text_of(path)):
            if (path, text) in reasons:
                used.add((path, text))
                excused += 1
            else:
                found.append((path, number, text, what))
    return found, sorted(reasons - used), excused


def totals(files):
    """{name: (lines covered, lines, branches covered, branches)}"""
    sums = {}
    for name, lines in files:
        a, b, c, d = sums.get(name, (0, 0, 0, 0))
        branches = [taken for _, made in lines.values() for taken in made]
        sums[name] = (a + sum(count > 0 for count, _ in lines.values()), b + len(lines),
                      c + sum(taken > 0 for taken in branches), d + len(branches))
    return sums


def percent(part, whole):
    """Rounded down, so that only everything is 100."""
    return int(1000 * part / whole) / 10 if whole else 100.0


def report_strict(files, excuses, texts, out):
    found, unused, excused = judge_strict(files, excuses, texts)
    for path, number, text, what in found:
        print(f"{path}:{number}: {what}: {text}", file=out)
    for path, text in unused:
        print(f"tools/uncovered.txt: no longer needed: {path} | {text}")
    bad_paths = {path for path, *_ in found}
    for path, (a, b, c, d) in sorted(totals((p, files[p]) for p in files if is_strict(p)).items()):
        if path in bad_paths:
            holes = sum(p == path for p, *_ in found)
            print(f"FAIL {path:28} {percent(a, b):5} % of {b:4} lines, {percent(c, d):5} % of {d:4} branches:"
                  f" {holes} lines to look at")
    strict = sum(map(is_strict, files))
    print(f"{strict} strict files, {len(bad_paths)} incomplete, {len(found)} lines to look at; "
          f"{len(excuses)} excuses, for {excused} lines")
    return strict - len(bad_paths), len(bad_paths) + len(unused)


def report_modules(files):
    sums = totals((module_of(path), lines) for path, lines in files.items() if not is_strict(path))
    failed = 0
    for name, (a, b, c, d) in sorted(sums.items()):
        floor = LOWER.get(name, LINES)
        bad = 100 * a < floor * b
        failed += bad
        print(f"{'FAIL' if bad else 'ok  '} {name:24} {percent(a, b):5} % of {b:5} lines (at least {floor}), "
              f"{percent(c, d):5} % of {d:5} branches")
    return len(sums) - failed, failed


# ---- running -----------------------------------------------------------------------------------


def save(name, files):
    (BUILD / f"{name}.json").write_text(json.dumps(files))


def load(name):
    path = BUILD / f"{name}.json"
    if not path.exists():
        return {}
    return {source: {int(number): made for number, made in lines.items()}
            for source, lines in json.loads(path.read_text()).items()}


def unit_tests(only):
    """Names of the unit tests of the modules that the paths `only` are in; none for all."""
    modules = {module_of(path.rstrip("/") + "/") for path in only}
    listed = subprocess.run(["meson", "test", "-C", str(BUILD), "--no-rebuild", "--list"], cwd=ROOT,
                            capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    names = [line.rpartition(" / ")[2] for line in listed.splitlines() if " / " in line]
    return [name for name in names if modules and name.rpartition("/")[0] in modules]


def run_unit(only):
    run("./dev", "build", "coverage")
    forget()
    (BUILD / "all.json").unlink(missing_ok=True)
    run("meson", "test", "-C", str(BUILD), "--no-rebuild", "--print-errorlogs",
        "--timeout-multiplier", "4", *unit_tests(only))
    save("unit", measure())


def run_end_to_end():
    run("/usr/bin/python3", "-m", "pytest", "-q", "-n", os.environ.get("PST_JOBS", "4"), "-p", "no:cacheprovider",
        "tests/e2e", env={**os.environ, "PST_BUILD": "build/coverage"})
    save("all", measure())


def source_lines(path):
    return [line.strip() for line in (ROOT / path).read_text(encoding="utf-8").splitlines()]


def main(arguments):
    only = tuple("src/" + a.removeprefix("src/") for a in arguments if not a.startswith("-"))
    if "--report" not in arguments:
        run_unit(only)
        if "--unit" not in arguments:
            run_end_to_end()
    unit, everything = load("unit"), load("all")
    if only:
        unit, everything = ({p: f for p, f in files.items() if p.startswith(only)} for files in (unit, everything))
    excuses = [e for e in read_excuses(EXCUSES.read_text()) if not only or e[0].startswith(only)]
    with open(BUILD / "missing.txt", "w", encoding="utf-8") as out:
        passed, failed = report_strict(unit, excuses, source_lines, sys.stdout if only else out)
        for path in sorted(everything):
            if not is_strict(path):
                for number, text, what in missing_in(everything[path], source_lines(path)):
                    print(f"{path}:{number}: {what}: {text}", file=out)
    good, bad = report_modules(everything)
    if failed + bad:
        print("each place that is missing: build/coverage/missing.txt")
    print(f"{passed + good} passed, {failed + bad} failed")
    return 1 if failed + bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
