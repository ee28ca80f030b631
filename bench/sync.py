#!/usr/bin/env python3
"""./dev bench [sync]: how fast Penstock copies a PeopleSoft, and where the time goes.

    sync.py [--orders 100000] [--json FILE]

A simulator with 100,000 purchase orders of 5 lines with 2 schedules each (1,000,000 source rows).
Measured, each beside the other in one run on one machine:

    curl      the same pages, drained by the curl program to /dev/null: what the source and the wire give
    first     the first full sync into an empty store
    again     a full sync in which nothing changed
    quiet     an incremental sync in which nothing changed

Rows per second, CPU of penstock per row, its peak memory, time spent waiting for the source. The
release build is measured; close other programs.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
os.environ.setdefault("PST_BUILD", "build/release")

from harness import Server, Simulator  # noqa: E402
from harness.setup import connect_to, new_organization, start_sync, wait_sync  # noqa: E402

PAGE_ROWS = 2000
HOUR = 3600


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


def measure(server, run):
    """run() to the end of a sync; its time, CPU and counts."""
    before, started = server.cpu_by_thread(), time.monotonic()
    ended = run()
    seconds = time.monotonic() - started
    threads = {name: spent - before.get(name, 0) for name, spent in server.cpu_by_thread().items()}
    if ended["status"] != "completed":
        raise SystemExit(f"the sync ended so: {json.dumps(ended, indent=1)}")
    return {"seconds": seconds, "cpu_seconds": sum(threads.values()), "cpu_by_thread": threads,
            "counts": ended["entities"][0]["counts"], "peak_memory": server.peak_memory()}


def run(options, place):
    sim = Simulator(place / "sim", orders=options.orders, seed=1, lines=5, schedules=2).start()
    server = Server(place, page_rows=PAGE_ROWS).start()
    try:
        rows = sim.count("PST_PURCHASE_ORDERS")
        result = {"rows": rows, "orders": options.orders, "page_rows": PAGE_ROWS, "machine": platform.processor() or
                  platform.machine(), "cores": os.cpu_count(), "curl": drain_with_curl(sim)}
        api = server.api(new_organization(server))
        connection = None

        def first():
            nonlocal connection
            connection = connect_to(api, sim, entities=["purchase_orders"], schedule="7d")
            return wait_sync(api, connection, seconds=HOUR)

        def again(mode):
            return wait_sync(api, connection, start_sync(api, connection, mode), seconds=HOUR)

        result["first"] = measure(server, first)
        result["again"] = measure(server, lambda: again("full"))
        result["quiet"] = measure(server, lambda: again("incremental"))
        result["store_bytes"] = sum(p.stat().st_size for p in server.data.glob("penstock.db*"))
        server.stop()
        sim.stop()
        return result
    finally:
        server.kill()
        sim.kill()


def table(result):
    rows = result["rows"]
    lines = [f"{rows:,} source rows in {result['orders']:,} orders, {result['curl']['bytes'] / rows:.0f} B a row, "
             f"{result['cores']} cores, store {result['store_bytes'] / 1e6:.0f} MB",
             f"{'':8} {'seconds':>8} {'rows/s':>9} {'CPU us/row':>11} {'of curl':>8} {'peak MiB':>9}"]
    for name in ("curl", "first", "again"):
        part = result[name]
        share = result["curl"]["seconds"] / part["seconds"]
        memory = f"{part['peak_memory'] / 2**20:9.0f}" if "peak_memory" in part else ""
        lines.append(f"{name:8} {part['seconds']:8.2f} {rows / part['seconds']:9,.0f} "
                     f"{part['cpu_seconds'] / rows * 1e6:11.2f} {share:8.0%} {memory}")
    for name in ("first", "again"):
        part = result[name]
        threads = sorted(part["cpu_by_thread"].items(), key=lambda item: -item[1])
        busy = ", ".join(f"{thread} {spent:.2f}" for thread, spent in threads if spent > part["cpu_seconds"] / 100)
        lines.append(f"  {name}: CPU seconds by thread: {busy}; waiting for the source "
                     f"{part['counts']['waiting_ms'] / 1000:.2f} s, working {part['counts']['working_ms'] / 1000:.2f} s")
    quiet = result["quiet"]
    lines.append(f"{'quiet':8} {quiet['seconds']:8.2f} {'':9} {quiet['cpu_seconds'] * 1000:8.1f} ms in all")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["sync"], default="sync")
    parser.add_argument("--orders", type=int, default=100000)
    parser.add_argument("--json", type=pathlib.Path, default=ROOT / "build/bench-sync.json")
    options = parser.parse_args()
    place = pathlib.Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    result = run(options, place)
    shutil.rmtree(place)
    options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))
    print(f"\nas JSON: {options.json}")


if __name__ == "__main__":
    main()
