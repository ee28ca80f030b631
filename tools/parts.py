#!/usr/bin/env python3
"""Runs the parts of ./dev check and ./dev prove, one line each with its time, and adds up their
tests.

    parts.py check|prove [part ...]     all parts, or only the named ones

A part's output goes to build/logs/<part>.log; of a part that fails, the end is shown. The last
line is `N passed, N failed` over all parts. PST_SIZE=ci|full chooses how long the proofs run.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "logs"
PYTHON = "/usr/bin/python3"
FULL = os.environ.get("PST_SIZE", "ci") == "full"
TAIL_LINES = 60


def pytest(build, *more):
    return [PYTHON, "-m", "pytest", "-q", "-n", os.environ.get("PST_JOBS", "4"), "-p", "no:cacheprovider",
            *more, "tests/e2e"], {"PST_BUILD": f"build/{build}"}


def meson(build, *more):
    return ["meson", "test", "-C", f"build/{build}", "--no-rebuild", "--print-errorlogs", *more], {}


def build(kind):
    return ["./dev", "build", kind], {}


def faults(name):
    return ["./dev", "faults", name, *(["--full"] if FULL else [])], {}


# name, what it does, command, how its tests are counted, seconds it may take, whether the rest
# is pointless without it
CHECK = [
    ("lint", "format, layers, sizes, banned calls", ([PYTHON, "tools/lint.py"], {}), "line", 120, False),
    ("tools", "the checks find what they are for",
     ([PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/tools"], {}), "pytest", 60, False),
    ("build", "build, warnings are errors", build("dev"), "one", 600, True),
    ("tidy", "clang-tidy", ([PYTHON, "tools/tidy.py"], {}), "one", 480, False),
    ("docs", "generated pages are up to date", ([PYTHON, "tools/docs.py", "--check"], {}), "line", 60, False),
    ("unit", "unit tests", meson("dev", "--no-suite", "conformance", "--timeout-multiplier", "3"), "meson", 300, False),
    ("conformance", "database and connector suites", meson("dev", "--suite", "conformance"), "meson", 180, False),
    ("build-asan", "build with ASan and UBSan", build("asan"), "one", 600, True),
    ("unit-asan", "unit tests under ASan and UBSan", meson("asan", "--timeout-multiplier", "3"), "meson", 300, False),
    ("e2e", "end to end, against the real programs", pytest("dev"), "pytest", 900, False),
]
PROVE = [
    ("build", "build, warnings are errors", build("dev"), "one", 600, True),
    ("analyze", "gcc's analyzer, cppcheck, clang's analyzer", ([PYTHON, "tools/analyze.py"], {}), "line", 1200,
     False),
    ("build-asan", "build with ASan and UBSan", build("asan"), "one", 600, True),
    ("e2e-asan", "end to end under ASan and UBSan", pytest("asan"), "pytest", 1800, False),
    ("coverage", "lines and branches that no test reaches", ([PYTHON, "tools/coverage.py"], {}), "line", 1200, False),
    ("build-tsan", "build with TSan", build("tsan"), "one", 600, True),
    ("unit-tsan", "unit tests under TSan", meson("tsan", "--timeout-multiplier", "5"), "meson", 400, False),
    ("e2e-tsan", "end to end under TSan", pytest("tsan", *([] if FULL else ["-m", "threads"])), "pytest",
     900, False),
    ("build-fuzz", "build the fuzz targets", build("fuzz"), "one", 600, True),
    ("fuzz", "a million inputs for every parser", (["./dev", "fuzz"], {}), "line", 1200, False),
    ("build-release", "build as a user does", build("release"), "one", 600, False),
    ("elf", "the release binaries are hardened and small", ([PYTHON, "tools/check_elf.py"], {}), "line", 60, False),
    ("power", "the power fails at every write of a day", faults("power"), "line", 600, False),
    ("store-faults", "every store call of a day fails once", faults("store"), "line", 900, False),
    ("torture", f"every unit test with {'each' if FULL else 'one in several'} of its allocations failing",
     faults("torture"), "line", 12 * 3600 if FULL else 600, False),
    ("crash", "kill -9 at any moment", (["./dev", "crash", "3000" if FULL else "500"], {}), "line",
     5400 if FULL else 900, False),
]
ON_REQUEST = [
    ("bare", "README's commands on a bare Debian", (["tools/bare-debian.sh"], {}), "one", 3600, False),
]


def count_line(log, _):
    """The last `N passed, N failed` of the output."""
    found = re.findall(r"^(\d+) passed, (\d+) failed$", log, re.M)
    return tuple(map(int, found[-1])) if found else (0, 0)


def count_pytest(log, _):
    last = re.findall(r"^=* ?((?:\d+ \w+(?:, )?)+) in [\d.]+s", log, re.M)
    words = dict((word, int(n)) for n, word in re.findall(r"(\d+) (\w+)", last[-1])) if last else {}
    return words.get("passed", 0), words.get("failed", 0) + words.get("error", 0) + words.get("errors", 0)


def count_meson(log, command):
    """cmocka's tests, from Meson's record of this run; a program without them counts as one."""
    directory = command[command.index("-C") + 1]
    record = ROOT / directory / "meson-logs" / "testlog.json"
    if "No tests defined" in log or "No suitable tests defined" in log or not record.exists():
        return 0, 0
    passed = failed = 0
    for line in record.read_text().splitlines():
        entry = json.loads(line)
        output = entry.get("stdout", "") + entry.get("stderr", "")
        good = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", output, re.M)))
        bad = sum(map(int, re.findall(r"^\[  FAILED  \] (\d+) test", output, re.M)))
        fine = entry["result"] in ("OK", "EXPECTEDFAIL")
        passed += good or (1 if fine else 0)
        failed += bad or (0 if fine else 1)
    return passed, failed


COUNTERS = {"line": count_line, "pytest": count_pytest, "meson": count_meson, "one": lambda *_: (0, 0)}


def run(name, command, more_env, seconds):
    """Returns the exit status (124 when its time was up) and the output."""
    log_path = LOGS / f"{name}.log"
    with open(log_path, "wb") as log:
        child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=subprocess.STDOUT, env={**os.environ, **more_env},
                                 start_new_session=True)
        try:
            status = child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            status = 124
        except KeyboardInterrupt:
            status = 130
        if status in (124, 130):
            os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    return status, log_path.read_text(errors="replace")


def run_part(part):
    """Returns passed, failed, and whether the part was fine."""
    name, title, (command, more_env), counter, seconds, _ = part
    started = time.monotonic()
    status, log = run(name, command, more_env, seconds)
    passed, failed = COUNTERS[counter](log, command)
    if passed + failed == 0 or (status != 0 and failed == 0):
        passed, failed = (passed + 1, failed) if status == 0 else (passed, failed + 1)
    fine = status == 0 and failed == 0
    print(f"{'ok  ' if fine else 'FAIL'} {name:12} {time.monotonic() - started:6.1f} s  "
          f"{passed:5} passed {failed:3} failed   {title}", flush=True)
    if not fine:
        why = f"stopped after {seconds} s" if status == 124 else f"exit status {status}"
        tail = "\n".join("    " + line for line in log.splitlines()[-TAIL_LINES:])
        print(f"---- build/logs/{name}.log ({why}), its end:\n{tail}\n----", flush=True)
    if status == 130:
        sys.exit(130)
    return passed, failed, fine


def main(arguments):
    which, chosen = arguments[0], arguments[1:]
    table = CHECK if which == "check" else PROVE
    known = {part[0]: part for part in [*ON_REQUEST, *PROVE, *CHECK, *table]}
    for name in chosen:
        if name not in known:
            sys.exit(f"no part '{name}'; there are: {', '.join(known)}")
    LOGS.mkdir(parents=True, exist_ok=True)
    passed = failed = 0
    started = time.monotonic()
    for part in [known[name] for name in chosen] or table:
        good, bad, fine = run_part(part)
        passed, failed = passed + good, failed + bad
        if not fine and part[5]:
            print(f"stopped: nothing after '{part[0]}' can run", flush=True)
            break
    print(f"{which}: {time.monotonic() - started:.0f} s")
    (LOGS / f"{which}.total").write_text(f"{passed} {failed}\n")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
