"""./dev bench sync: how fast Penstock copies a PeopleSoft, and where the time goes.

A simulator with 100,000 purchase orders of 5 lines with 2 schedules each (1,000,000 source rows).

    first     the first full sync into an empty store
    again     a full sync in which nothing changed: no record may be written
    quiet     incremental syncs in which nothing changed, the median of many
    changed   1 % of the orders changed at the source: an incremental sync; 1 % again: a full one

Beside them, in the same run: the same pages drained by the curl program; some of the pages parsed by
yyjson alone, and each stage of ours by itself (bench/stages.c); and the same rows written to the same
tables and indexes by SQLite alone, with the same commits (bench/floor.c). CPU is that of the threads:
fetch calls and reads the page, sync maps and compresses, writer stores. The release build is measured.
"""
import json
import pathlib
import re
import resource
import statistics
import subprocess
import tempfile
import time

from common import ROOT, Figure, at_least, at_most, number

from harness import Server, Simulator
from harness.setup import connect_to, new_organization, start_sync, wait_sync

RUNS = 3
PAGE_ROWS = 2000
ROWS_PER_ORDER = 10
KEPT_PAGES = 20  # for the stages by themselves
QUIET = 25
HOUR = 3600


def add_options(parser):
    parser.add_argument("--orders", type=int, default=100000, help="orders in the source, of 10 rows each")


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# ---- floors ----

QUERY = ("/PSIGW/RESTListeningConnector/PSFT_EP/ExecuteQuery.v1/PUBLIC/PST_PURCHASE_ORDERS/JSON/NONFILE"
         f"?isconnectedquery=N&maxrows={PAGE_ROWS}&json_resp=true"
         "&prompt_uniquepromptname=FROMDTTM,TODTTM,LAST_BUSINESS_UNIT,LAST_PO_ID,LAST_LINE_NBR,LAST_SCHED_NBR"
         "&prompt_fieldvalue=,,")
KEY = ("A.BUSINESS_UNIT", "A.PO_ID", "B.LINE_NBR", "C.SCHED_NBR")


def page_addresses(sim, folder):
    """The addresses of all pages in order, read from the last row of each; some pages as files."""
    key, addresses = ["", "", "", ""], []
    while True:
        addresses.append(sim.url + QUERY + ",".join(key))
        text = sim.session.get(addresses[-1], auth=(sim.USER, sim.PASSWORD), timeout=600).text
        last = text.rfind('"A.BUSINESS_UNIT"')
        if last < 0:
            return addresses
        if len(addresses) <= KEPT_PAGES:
            (folder / f"page-{len(addresses):03}.json").write_text(text, encoding="utf-8")
        key = [re.search(rf'"{re.escape(name)}":"?([^",}}]*)', text[last:]).group(1) for name in KEY]


def drain_with_curl(sim, folder):
    """The pages that Penstock would ask for, over one kept connection, to nowhere."""
    config = 'silent\nwrite-out = "%{size_download} %{http_code}\\n"\n' + "next\n".join(
        f'url = "{address}"\noutput = "/dev/null"\nuser = "{sim.USER}:{sim.PASSWORD}"\nsilent\n'
        'write-out = "%{size_download} %{http_code}\\n"\n' for address in page_addresses(sim, folder))
    before, started = children_cpu(), time.monotonic()
    done = subprocess.run(["curl", "--config", "-"], input=config, capture_output=True, text=True, check=True)
    seconds = time.monotonic() - started
    answers = [line.split() for line in done.stdout.splitlines()]
    if {status for _, status in answers} != {"200"}:
        raise SystemExit(f"curl got {sorted({status for _, status in answers})}")
    return {"seconds": seconds, "bytes": sum(int(size) for size, _ in answers), "pages": len(answers),
            "cpu_seconds": children_cpu() - before}


def helper(name, *arguments):
    """What a program of this folder prints as JSON."""
    command = [str(ROOT / "build/release/bench" / name), *map(str, arguments)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def write_with_sqlite(server, place):
    """The finished store's rows into the same tables, as many to a commit as a page has orders."""
    copy = place / "floor.db"
    done = helper("floor_bench", server.data / "penstock.db", copy, PAGE_ROWS // ROWS_PER_ORDER)
    for path in place.glob("floor.db*"):
        path.unlink()
    return done


# ---- the server ----


def bytes_written(server):
    """What the process has given to write calls; its sockets are written with others."""
    text = pathlib.Path(f"/proc/{server.pid}/io").read_text()
    return int(re.search(r"wchar: (\d+)", text).group(1))


def time_sync(server, run):
    """run() to the end of a sync; its time, CPU, counts and writes."""
    written, before, started = bytes_written(server), server.cpu_by_thread(), time.monotonic()
    ended = run()
    seconds = time.monotonic() - started
    threads = {name: spent - before.get(name, 0) for name, spent in server.cpu_by_thread().items()}
    if ended["status"] != "completed":
        raise SystemExit(f"the sync ended so: {json.dumps(ended, indent=1)}")
    return {"seconds": seconds, "cpu_seconds": sum(threads.values()), "cpu_by_thread": threads,
            "counts": ended["entities"][0]["counts"], "peak_memory": server.peak_memory(),
            "bytes_written": bytes_written(server) - written}


def stage_cpu(part, stage):
    """CPU seconds of the threads of one kind: "sync-1", "sync-2", ... are one."""
    return sum(spent for name, spent in part["cpu_by_thread"].items() if name.split("-")[0] == stage)


def newest_change(api, connection):
    """The connection's last sequence number: each record that is written takes one."""
    after = 0
    while True:
        page = api.get(f"/v1/connections/{connection}/changes", params={"after": after, "limit": 500})
        if not page["data"]:
            return after
        after = page["data"][-1]["seq"]


def measure_syncs(sim, server, orders):
    api = server.api(new_organization(server))
    connection = None

    def first():
        nonlocal connection
        connection = connect_to(api, sim, entities=["purchase_orders"], schedule="7d")
        return wait_sync(api, connection, seconds=HOUR)

    def again(mode):
        return wait_sync(api, connection, start_sync(api, connection, mode), seconds=HOUR)

    result = {"first": time_sync(server, first)}
    seq = newest_change(api, connection)
    result["again"] = time_sync(server, lambda: again("full"))
    result["again"]["rewritten"] = newest_change(api, connection) - seq
    # Before the changes: the overlap of the window would show them each time.
    result["quiet"] = [time_sync(server, lambda: again("incremental")) for _ in range(QUIET)]
    for mode in ("incremental", "full"):
        sim.change("change", "purchase_orders", max(orders // 100, 1))
        result[f"changed_{mode}"] = time_sync(server, lambda mode=mode: again(mode))
    return result


def stored_bytes(server):
    """Bytes of every table and index of the store, the largest first."""
    text = subprocess.run(["sqlite3", "-json", str(server.data / "penstock.db"),
                           "SELECT name, sum(pgsize) AS bytes FROM dbstat GROUP BY name ORDER BY 2 DESC"],
                          capture_output=True, text=True, check=True).stdout
    return {row["name"]: row["bytes"] for row in json.loads(text)}


def run_once(options, place):
    sim = Simulator(place / "sim", orders=options.orders, seed=1, lines=5, schedules=2).start()
    server = Server(place, page_rows=PAGE_ROWS).start()
    try:
        result = {"rows": sim.count("PST_PURCHASE_ORDERS"), "orders": options.orders}
        result["curl"] = drain_with_curl(sim, place)
        result["stages"] = helper("stages_bench", sim.url, *sorted(place.glob("page-*.json")))
        result.update(measure_syncs(sim, server, options.orders))
        server.stop()
        sim.stop()
        result["tables"] = stored_bytes(server)
        result["sqlite"] = write_with_sqlite(server, place)
        return result
    finally:
        server.kill()
        sim.kill()


# ---- figures ----


def figures_of_first(result):
    rows, part, sqlite, stages = result["rows"], result["first"], result["sqlite"], result["stages"]
    floor = rows / sqlite["seconds"]
    yield Figure("rows", rows / part["seconds"], "rows/s", floor, "SQLite alone",
                 at_least(min(100000, 0.6 * floor), "or 60 % of SQLite"), group="first", extra=part)
    yield Figure("rows", rows / part["seconds"], "rows/s", rows / result["curl"]["seconds"], "curl",
                 group="first beside the source")
    yield Figure("CPU", part["cpu_seconds"] / rows * 1e6, "us/row", group="first")
    yield Figure("CPU of fetch", stage_cpu(part, "fetch") / rows * 1e6, "us/row", stages["yyjson"], "yyjson",
                 group="first")
    yield Figure("CPU of sync", stage_cpu(part, "sync") / rows * 1e6, "us/row", group="first")
    yield Figure("CPU of writer", stage_cpu(part, "writer") / rows * 1e6, "us/row",
                 sqlite["cpu_seconds"] / rows * 1e6, "SQLite alone", group="first")
    yield Figure("peak memory", part["peak_memory"] / 2**20, "MiB", group="first", goal=at_most(64))


def figures_of_again(result):
    rows, part = result["rows"], result["again"]
    yield Figure("rows", rows / part["seconds"], "rows/s", rows / result["curl"]["seconds"], "curl",
                 at_least(300000), group="again", extra=part)
    yield Figure("CPU", part["cpu_seconds"] / rows * 1e6, "us/row", group="again")
    yield Figure("records written", part["rewritten"] + part["counts"]["updated"] + part["counts"]["created"],
                 "records", goal=at_most(0), group="again")
    yield Figure("bytes written", part["bytes_written"] / 1024, "KiB", group="again")
    for mode in ("incremental", "full"):
        part = result[f"changed_{mode}"]
        changed = max(part["counts"]["updated"], 1)
        yield Figure("time", part["seconds"], "s", group=f"1 % changed, {mode}", extra=part)
        yield Figure("CPU of writer", stage_cpu(part, "writer") / changed * 1e6, "us/changed record",
                     group=f"1 % changed, {mode}")


def figures_of_quiet(result):
    """Without the server's loops: they answer this bench's own questions."""
    def milliseconds(stage):
        return statistics.median(stage_cpu(part, stage) for part in result["quiet"]) * 1000
    own = milliseconds("sync") + milliseconds("writer") + milliseconds("work")
    yield Figure("CPU beside the page's call", own, "ms", goal=at_most(2), group="quiet")
    yield Figure("CPU of the page's call", milliseconds("fetch"), "ms", group="quiet")


def figures_of_store(result):
    orders, stages = result["orders"], result["stages"]
    kept = stages["zip_dict_1"]
    yield Figure("store", sum(result["tables"].values()) / orders, "bytes/record", group="stored",
                 extra={"tables": result["tables"], "orders": orders})
    yield Figure("kept source rows", kept["bytes_per_record"], "bytes/record", stages["kept_bytes_per_record"],
                 "uncompressed", group="stored", extra=stages)
    yield Figure("CPU to keep them", stages["keep"] + kept["us_per_row"], "us/row", group="stored")


def measure(options, place, _state):
    with tempfile.TemporaryDirectory(dir=place) as own:
        result = run_once(options, pathlib.Path(own))
    return [*figures_of_first(result), *figures_of_again(result), *figures_of_quiet(result),
            *figures_of_store(result)]


# ---- details ----


def busy_threads(group, part):
    threads = sorted(part["cpu_by_thread"].items(), key=lambda item: -item[1])
    busy = ", ".join(f"{thread} {spent:.2f}" for thread, spent in threads if spent > part["cpu_seconds"] / 100)
    return (f"{group}: CPU seconds by thread: {busy}; waiting for the source "
            f"{number(part['counts']['waiting_ms'] / 1000, 's')}, "
            f"working {number(part['counts']['working_ms'] / 1000, 's')}")


def stage_lines(stages):
    names = ("yyjson", "read", "hash", "map", "keep")
    yield "stages by themselves, us/row: " + ", ".join(f"{name} {stages[name]:.2f}" for name in names)
    yield f"kept source rows, {stages['kept_bytes_per_record']:.0f} bytes a record before compression:"
    for name, part in stages.items():
        if name.startswith("zip_"):
            kind, level = name[4:].split("_")
            yield (f"  level {level:>2}, {'with a dictionary' if kind == 'dict' else 'plain':17} "
                   f"{part['us_per_row']:5.2f} us/row {part['bytes_per_record']:7.1f} bytes/record")


def details(result):
    """Of the last run: where the CPU went, what compression costs, what is stored."""
    lines = []
    for figure in result["figures"]:
        extra = figure.get("extra", [{}])[-1]
        if "cpu_by_thread" in extra:
            lines.append(busy_threads(figure["group"], extra))
        elif "yyjson" in extra:
            lines.extend(stage_lines(extra))
        elif "tables" in extra:
            lines.append("bytes a record: " + ", ".join(
                f"{name} {size / extra['orders']:.0f}" for name, size in extra["tables"].items()
                if size > sum(extra["tables"].values()) / 1000))
    return lines
