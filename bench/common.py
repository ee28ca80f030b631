"""What the benches share: figures beside a floor and a goal, several runs, one table, one JSON.

A bench is a module of this folder with

    RUNS                how many runs the medians come from, unless --runs says otherwise
    add_options(parser) its own options (may be missing)
    prepare(options, place)          once, before the runs; returns what measure gets (may be missing)
    measure(options, place, state)   one run; returns a list of Figures
    finish(options, place, state)    after the runs, also after a failure (may be missing)
    details(result)     more lines to print and to keep, from the combined result (may be missing)
    pictures(result)    name -> SVG, for docs/ (may be missing)
    DOCUMENT            where `./dev bench docs` puts the table, instead of docs/performance.md

`place` is an empty directory that is removed at the end. Programs that a bench starts end with it.
"""
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build/bench"
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("PST_BUILD", "build/release")

WORDS = {">=": "at least", "<=": "at most"}


@dataclasses.dataclass
class Figure:
    """One number of one run. `floor`: what was measured beside it that it cannot beat, or a peer;
    `floor_name` says which; the table shows the figure in per cent of it. `goal`: at_least() or
    at_most()."""

    name: str
    value: float
    unit: str
    floor: float = None
    floor_name: str = ""
    goal: tuple = None
    group: str = ""  # figures of one group stand together in the table
    extra: dict = dataclasses.field(default_factory=dict)  # kept in the JSON, not shown


def at_least(number, words=""):
    return (">=", number, words)


def at_most(number, words=""):
    return ("<=", number, words)


def machine():
    """What a figure has to be read with."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {"cpu": cpu.group(1) if cpu else platform.machine(), "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(int(memory.group(1)) / 2**20, 1), "kernel": platform.release(),
            "system": first_line("sh", "-c", ". /etc/os-release && echo $PRETTY_NAME"),
            "compiler": first_line("gcc", "--version"), "load": round(os.getloadavg()[0], 2)}


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    except FileNotFoundError:
        return ""
    return done.stdout.splitlines()[0] if done.stdout else ""


def commit():
    changed = first_line("git", "status", "--porcelain", "--untracked-files=no")
    return first_line("git", "rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")


def is_met(goal, value):
    return value >= goal["number"] if goal["way"] == ">=" else value <= goal["number"]


def combine(samples):
    """The figures of several runs as medians with their spread; names and units of the first."""
    rows = []
    for group, name in dict.fromkeys((figure.group, figure.name) for sample in samples for figure in sample):
        seen = [figure for sample in samples for figure in sample if (figure.group, figure.name) == (group, name)]
        first, values = seen[0], [figure.value for figure in seen]
        row = {"name": name, "group": group, "unit": first.unit, "value": statistics.median(values),
               "low": min(values), "high": max(values), "values": values}
        floors = [figure.floor for figure in seen if figure.floor]
        if floors:
            row["floor"] = {"name": first.floor_name, "value": statistics.median(floors), "low": min(floors),
                            "high": max(floors)}
            row["share"] = statistics.median(figure.value / figure.floor for figure in seen if figure.floor)
        if first.goal:
            number = statistics.median(figure.goal[1] for figure in seen)
            row["goal"] = {"way": first.goal[0], "number": number, "words": first.goal[2]}
            row["met"] = is_met(row["goal"], row["value"])
        extra = [figure.extra for figure in seen if figure.extra]
        if extra:
            row["extra"] = extra
        rows.append(row)
    return rows


def run(name, about, bench, options):
    """All runs of one bench; the result as it is written to the JSON."""
    begun = datetime.datetime.now(datetime.timezone.utc)
    result = {"bench": name, "about": about, "date": begun.strftime("%Y-%m-%dT%H:%M:%SZ"),
              "commit": commit(), "machine": machine(), "runs": options.runs or bench.RUNS,
              "options": {k: v for k, v in vars(options).items() if isinstance(v, (int, float, str, list, bool))}}
    place = pathlib.Path(tempfile.mkdtemp(prefix=f"penstock-bench-{name}-", dir=options.directory))
    state = None
    try:
        state = bench.prepare(options, place) if hasattr(bench, "prepare") else None
        samples = []
        for number in range(result["runs"]):
            print(f"{name}: run {number + 1} of {result['runs']}", file=sys.stderr, flush=True)
            samples.append(bench.measure(options, place, state))
    finally:
        if hasattr(bench, "finish"):
            bench.finish(options, place, state)
        shutil.rmtree(place, ignore_errors=True)
    result["figures"] = combine(samples)
    if hasattr(bench, "details"):
        result["details"] = bench.details(result)
    result["seconds"] = round((datetime.datetime.now(datetime.timezone.utc) - begun).total_seconds(), 1)
    return result


def write_json(result, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


# ---- for people ----------------------------------------------------------------------------------


def number(value, unit=""):
    """Three significant digits, thousands apart."""
    if value == 0:
        return "0"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
    text = f"{value:,.{digits}f}"
    return f"{text} {unit}".strip()


def goal_words(row):
    if "goal" not in row:
        return "", ""
    goal = row["goal"]
    words = f"{WORDS[goal['way']]} {number(goal['number'])}"
    if goal["words"]:
        words += f" ({goal['words']})"
    return words, "met" if row["met"] else "not met"


def spread(row):
    return "" if row["low"] == row["high"] else f"{number(row['low'])} .. {number(row['high'])}"


HEADS = ("figure", "median", "spread", "unit", "beside", "share", "goal", "")


def table_rows(result):
    """Cells of the table, one list per figure; a group's name stands before each of its figures."""
    rows = []
    for row in result["figures"]:
        floor = row.get("floor")
        words, met = goal_words(row)
        rows.append([f"{row['group']}: {row['name']}" if row["group"] else row["name"], number(row["value"]),
                     spread(row), row["unit"], f"{floor['name']} {number(floor['value'])}" if floor else "",
                     f"{row['share']:.0%}" if floor else "", words, met])
    return rows


def machine_line(result):
    m = result["machine"]
    return (f"{m['cpu']}, {m['cores']} cores, {m['memory_gib']} GiB, {m['system']}, Linux {m['kernel']}, "
            f"{m['compiler']}; {result['date']}, commit {result['commit']}, {result['runs']} runs; "
            f"load when it began {m['load']}")


def text_table(result):
    rows = [list(HEADS), *table_rows(result)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADS))]
    right = {1, 5}
    lines = ["  ".join(cell.rjust(w) if i in right else cell.ljust(w)
                       for i, (cell, w) in enumerate(zip(row, widths))).rstrip() for row in rows]
    return "\n".join([f"{result['bench']}: {result['about']}", machine_line(result), "", *lines,
                      *(["", *result["details"]] if result.get("details") else [])])


def markdown_table(result):
    heads = [head or "reached" for head in HEADS]
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---:" if i in (1, 5) else "---"
                                                                for i in range(len(heads))) + " |"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table_rows(result)]
    lines += ["", f"{machine_line(result)}."]
    if result.get("details"):
        lines += ["", "```", *result["details"], "```"]
    return "\n".join(lines)
