"""./dev bench sync: how fast Penstock copies a PeopleSoft, and where the time goes.

A simulator with 100,000 purchase orders of 5 lines with 2 schedules each (1,000,000 source rows).
Measured, each beside the other in one run on one machine:

    curl      the same pages, drained by the curl program to /dev/null: what the source and the wire give
    first     the first full sync into an empty store
    again     a full sync in which nothing changed
    quiet     an incremental sync in which nothing changed

Rows per second, CPU of penstock per row, its peak memory, time spent waiting for the source. The
release build is measured.
"""
import json
import pathlib
import re
import resource
import subprocess
import tempfile
import time

from common import Figure, at_least, at_most, number

from harness import Server, Simulator
from harness.setup import connect_to, new_organization, start_sync, wait_sync

RUNS = 3
PAGE_ROWS = 2000
HOUR = 3600


def add_options(parser):
    parser.add_argument("--orders", type=int, default=100000, help="orders in the source, of 10 rows each")


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


QUERY = ("/PSIGW/RESTListeningConnector/PSFT_EP/ExecuteQuery.v1/PUBLIC/PST_PURCHASE_ORDERS/JSON/NONFILE"
         f"?isconnectedquery=N&maxrows={PAGE_ROWS}&json_resp=true"
         "&prompt_uniquepromptname=FROMDTTM,TODTTM,LAST_BUSINESS_UNIT,LAST_PO_ID,LAST_LINE_NBR,LAST_SCHED_NBR"
         "&prompt_fieldvalue=,,")
KEY = ("A.BUSINESS_UNIT", "A.PO_ID", "B.LINE_NBR", "C.SCHED_NBR")


def page_addresses(sim):
    """The addresses of all pages in order, read from the last row of each."""
    key, addresses = ["", "", "", ""], []
    while True:
        addresses.append(sim.url + QUERY + ",".join(key))
        text = sim.session.get(addresses[-1], auth=(sim.USER, sim.PASSWORD), timeout=600).text
        last = text.rfind('"A.BUSINESS_UNIT"')
        if last < 0:
            return addresses
        key = [re.search(rf'"{re.escape(name)}":"?([^",}}]*)', text[last:]).group(1) for name in KEY]


def drain_with_curl(sim):
    """The pages that Penstock would ask for, over one kept connection, to nowhere."""
    config = 'silent\nwrite-out = "%{size_download} %{http_code}\\n"\n' + "next\n".join(
        f'url = "{address}"\noutput = "/dev/null"\nuser = "{sim.USER}:{sim.PASSWORD}"\nsilent\n'
        'write-out = "%{size_download} %{http_code}\\n"\n' for address in page_addresses(sim))
    before, started = children_cpu(), time.monotonic()
    done = subprocess.run(["curl", "--config", "-"], input=config, capture_output=True, text=True, check=True)
    seconds = time.monotonic() - started
    answers = [line.split() for line in done.stdout.splitlines()]
    if {status for _, status in answers} != {"200"}:
        raise SystemExit(f"curl got {sorted({status for _, status in answers})}")
    return {"seconds": seconds, "bytes": sum(int(size) for size, _ in answers), "pages": len(answers),
            "cpu_seconds": children_cpu() - before}


def time_sync(server, run):
    """run() to the end of a sync; its time, CPU and counts."""
    before, started = server.cpu_by_thread(), time.monotonic()
    ended = run()
    seconds = time.monotonic() - started
    threads = {name: spent - before.get(name, 0) for name, spent in server.cpu_by_thread().items()}
    if ended["status"] != "completed":
        raise SystemExit(f"the sync ended so: {json.dumps(ended, indent=1)}")
    return {"seconds": seconds, "cpu_seconds": sum(threads.values()), "cpu_by_thread": threads,
            "counts": ended["entities"][0]["counts"], "peak_memory": server.peak_memory()}


def run_once(options, place):
    sim = Simulator(place / "sim", orders=options.orders, seed=1, lines=5, schedules=2).start()
    server = Server(place, page_rows=PAGE_ROWS).start()
    try:
        rows = sim.count("PST_PURCHASE_ORDERS")
        result = {"rows": rows, "orders": options.orders, "page_rows": PAGE_ROWS, "curl": drain_with_curl(sim)}
        api = server.api(new_organization(server))
        connection = None

        def first():
            nonlocal connection
            connection = connect_to(api, sim, entities=["purchase_orders"], schedule="7d")
            return wait_sync(api, connection, seconds=HOUR)

        def again(mode):
            return wait_sync(api, connection, start_sync(api, connection, mode), seconds=HOUR)

        result["first"] = time_sync(server, first)
        result["again"] = time_sync(server, lambda: again("full"))
        result["quiet"] = time_sync(server, lambda: again("incremental"))
        result["store_bytes"] = sum(p.stat().st_size for p in server.data.glob("penstock.db*"))
        server.stop()
        sim.stop()
        return result
    finally:
        server.kill()
        sim.kill()


def measure_rates(result):
    rows = result["rows"]
    drained = rows / result["curl"]["seconds"]
    goals = {"first": 100000, "again": 300000}
    for name, goal in goals.items():
        part = result[name]
        yield Figure("rows", rows / part["seconds"], "rows/s", drained, "curl", at_least(goal), group=name, extra=part)
        yield Figure("CPU", part["cpu_seconds"] / rows * 1e6, "us/row", group=name)
        yield Figure("peak memory", part["peak_memory"] / 2**20, "MiB", group=name,
                     goal=at_most(64) if name == "first" else None)


def measure(options, place, _state):
    with tempfile.TemporaryDirectory(dir=place) as own:
        result = run_once(options, pathlib.Path(own))
    quiet = result["quiet"]
    return [*measure_rates(result),
            Figure("CPU", quiet["cpu_seconds"] * 1000, "ms", group="quiet", extra=quiet),
            Figure("store", result["store_bytes"] / result["orders"], "bytes/record")]


def details(result):
    """Where the CPU of the last run went."""
    lines = []
    for figure in result["figures"]:
        if figure["name"] != "rows":
            continue
        part = figure["extra"][-1]
        threads = sorted(part["cpu_by_thread"].items(), key=lambda item: -item[1])
        busy = ", ".join(f"{thread} {spent:.2f}" for thread, spent in threads if spent > part["cpu_seconds"] / 100)
        lines.append(f"{figure['group']}: CPU seconds by thread: {busy}; waiting for the source "
                     f"{number(part['counts']['waiting_ms'] / 1000, 's')}, "
                     f"working {number(part['counts']['working_ms'] / 1000, 's')}")
    return lines
