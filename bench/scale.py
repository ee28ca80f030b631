"""./dev bench scale: what a written record and a page cost while the store grows.

The store's own code (bench/scale.c) grows a store of small purchase orders and at each size does the
same work at positions spread over all of it. Microseconds of CPU, so that other programs disturb
little. Flat is best; a search tree's cost grows with its depth, that is with the logarithm. The goal:
a hundred times the records make nothing more than twice as dear (logarithmic: 1.5 times; linear: 100).
"""
import math
import shutil
import subprocess

from common import ROOT, Figure, at_most, number

RUNS = 2
BYTES = 500  # of a record
STORED = 1300  # bytes on disk per such record, with indexes, change row and room for the log
KINDS = {  # of bench/scale.c: what one unit is, colour of its line
    "insert": ("record inserted, pages of 2000", "#1b6ca8"),
    "update": ("record updated, commits of 10 neighbours", "#c0392b"),
    "unchanged": ("record found unchanged", "#27864f"),
    "first-page": ("first page of 100", "#8e44ad"),
    "deep-page": ("page of 100, by cursor, anywhere", "#b8860b"),
    "filtered": ("page of 10 of one supplier", "#16a085"),
    "get": ("record by id", "#555555"),
    "changes": ("page of 100 changes, anywhere", "#e67e22"),
}
GROWTH = 2.0


def add_options(parser):
    parser.add_argument("--max", type=int, default=1000000, help="records at the end; 10000000 needs 13 GB of disk")


def sizes(options):
    return [10**power for power in range(4, 12) if 10**power <= options.max]


def prepare(options, place):
    need = options.max * STORED + (1 << 30)
    free = shutil.disk_usage(place).free
    if free < need:
        raise SystemExit(f"{options.max:,} records need {need / 1e9:.0f} GB of disk, {place} has {free / 1e9:.0f} GB")


def measure(options, place, _state):
    store = place / "store"
    store.mkdir()
    try:
        command = [ROOT / "build/release/bench/bench_scale", store / "penstock.db", BYTES, *sizes(options)]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
    finally:
        shutil.rmtree(store)
    curves = {}
    for line in done.stdout.splitlines():
        size, kind, cpu_us, _ = line.split()
        curves.setdefault(kind, []).append((int(size), float(cpu_us)))
    figures = []
    for kind, (words, _) in KINDS.items():
        (first, least), (last, most) = curves[kind][0], curves[kind][-1]
        figures.append(Figure(words, most, "us of CPU", least, f"at {first:,}:", extra={"curve": curves[kind]}))
        figures.append(Figure(words, most / least, "times", group=f"from {first:,} to {last:,}",
                              goal=at_most(GROWTH)))
    return figures


def curves_of(result):
    """Per kind the median cost at each size."""
    out = {}
    for kind, (words, _) in KINDS.items():
        runs = next(f["extra"] for f in result["figures"] if f["name"] == words and "extra" in f)
        out[kind] = [(point[0], sorted(run["curve"][i][1] for run in runs)[len(runs) // 2])
                     for i, point in enumerate(runs[0]["curve"])]
    return out


def details(result):
    curves = curves_of(result)
    heads = [size for size, _ in next(iter(curves.values()))]
    lines = [f"{'us of CPU per':44}" + "".join(f"{size:>12,}" for size in heads)]
    for kind, (words, _) in KINDS.items():
        lines.append(f"{words:44}" + "".join(f"{number(cost):>12}" for _, cost in curves[kind]))
    return lines


# ---- the picture ---------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 460, 70, 290, 40, 50


def pictures(result):
    """Both axes logarithmic: a flat line is a constant cost, a slope of 45 degrees a linear one."""
    curves = curves_of(result)
    points = [point for curve in curves.values() for point in curve]
    x0, x1 = (math.log10(pick(size for size, _ in points)) for pick in (min, max))
    y0, y1 = math.floor(math.log10(min(c for _, c in points))), math.ceil(math.log10(max(c for _, c in points)))

    def x(size):
        return LEFT + (math.log10(size) - x0) / max(x1 - x0, 1e-9) * (WIDTH - LEFT - RIGHT)

    def y(cost):
        return TOP + (y1 - math.log10(cost)) / max(y1 - y0, 1e-9) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
             'font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             f'<text x="{LEFT}" y="22" font-size="15">CPU of one record or page while the store grows</text>']
    for power in range(y0, y1 + 1):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(10**power):.1f}" y2="{y(10**power):.1f}" '
                     f'stroke="#ddd"/><text x="{LEFT - 8}" y="{y(10**power) + 4:.1f}" text-anchor="end">'
                     f'{10**power:g} us</text>')
    for power in range(round(x0), round(x1) + 1):
        parts.append(f'<line x1="{x(10**power):.1f}" x2="{x(10**power):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" '
                     f'stroke="#ddd"/><text x="{x(10**power):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">'
                     f'{10**power:,}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">records</text>')
    labels = []
    for kind, curve in sorted(curves.items(), key=lambda item: y(item[1][-1][1])):
        words, colour = KINDS[kind]
        line = " ".join(f"{x(size):.1f},{y(cost):.1f}" for size, cost in curve)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(size):.1f}" cy="{y(cost):.1f}" r="3" fill="{colour}"/>' for size, cost in curve]
        place = max(y(curve[-1][1]), labels[-1] + 15 if labels else 0)
        labels.append(place)
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{place + 4:.1f}" fill="{colour}">{words}</text>')
    return {"performance-scale.svg": "\n".join([*parts, "</svg>"]) + "\n"}
