#!/usr/bin/env python3
"""Runs the fuzz targets of tests/fuzz, two at a time.

    ./dev fuzz                       every target, 1,000,000 executions each
    ./dev fuzz cron                  one target
    ./dev fuzz cron 600              one target for 600 seconds
    ./dev fuzz all 600               every target for 600 seconds each

The first two draw the same inputs each time, so that what they find is the change's; with seconds
the inputs are new ones each time.

Inputs that libFuzzer finds worth keeping go to build/fuzz/found/<target>, and are where the next
run goes on; tests/fuzz/corpus holds the seeds. An input that breaks something is left in
build/fuzz/crash-<target>-...; its place is tests/fuzz/corpus/<target>, under a name that says what
it was, together with the mending.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/fuzz"
EXECUTIONS = 1_000_000
SECONDS_AT_MOST = 900  # of one target that is to do its executions
SIDE_BY_SIDE = 2

# The targets, the slowest first, with their largest inputs in bytes: what finds something in a
# parser is short, and libFuzzer's own choice (the longest seed) would only be slow.
MAX_LEN = {"config": 512, "mapping": 1024, "page": 4096, "yaml": 2048, "cursor": 256, "request": 1024,
           "json": 1024, "stamp": 2048, "cron": 160, "decimal": 96, "uri": 512}


def targets():
    found = sorted(path.name[5:] for path in (BUILD / "tests/fuzz").glob("fuzz_*") if path.is_file())
    return [name for name in found if "." not in name]


def run(name, seconds):
    """Returns name, executions, seconds, and what went wrong (None: nothing)."""
    found = BUILD / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    limit = [f"-max_total_time={seconds}"] if seconds else [f"-runs={EXECUTIONS}", "-seed=1", f"-max_total_time={SECONDS_AT_MOST}"]
    dictionary = ROOT / f"tests/fuzz/{name}.dict"
    command = [str(BUILD / f"tests/fuzz/fuzz_{name}"), *limit, f"-max_len={MAX_LEN[name]}", "-timeout=10",
               "-print_final_stats=1", "-verbosity=0", "-rss_limit_mb=1024", f"-artifact_prefix={BUILD}/crash-{name}-",
               *([f"-dict={dictionary}"] if dictionary.exists() else []), str(found), str(ROOT / f"tests/fuzz/corpus/{name}")]
    log_path = BUILD / f"{name}.log"
    with open(log_path, "wb") as log:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False,
                              env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1",
                                   "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"})
    text = log_path.read_text(errors="replace")
    stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", text))
    executions = int(stats.get("number_of_executed_units", 0))
    rate = int(stats.get("average_exec_per_sec", 0))
    wrong = None
    if done.returncode != 0:
        wrong = f"exit status {done.returncode}:\n" + "\n".join(text.splitlines()[-40:])
    elif not seconds and executions < EXECUTIONS:
        wrong = f"only {executions} executions within {SECONDS_AT_MOST} s"
    return name, executions, rate, wrong


def main(arguments):
    built = targets()
    known = list(MAX_LEN)
    name = arguments[0] if arguments else "all"
    seconds = int(arguments[1]) if len(arguments) > 1 else 0
    if name != "all" and name not in known:
        sys.exit(f"no target '{name}'; there are: all, {', '.join(known)}")
    if set(built) != set(known):
        sys.exit(f"tools/fuzz.py and tests/fuzz/meson.build differ: {set(built) ^ set(known)}")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for name, executions, rate, wrong in pool.map(lambda n: run(n, seconds), known if name == "all" else [name]):
            print(f"{'FAIL' if wrong else 'ok  '} {name:10} {executions:>10,} executions, {rate:>7,} a second", flush=True)
            if wrong:
                failed += 1
                print(wrong, flush=True)
    ran = len(known) if not arguments or arguments[0] == "all" else 1
    print(f"{ran - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
