"""./dev bench store: pages of records into the store, without network, mapping and other threads.

bench/store.c writes orders in pages of 500, walks their states as an unchanged sync does, updates
every tenth and lists them. Beside the writing: the same bytes in a table without any index, change
feed and checkpoint, by the same SQLite with the same commits. CPU of the one thread.
"""
import re
import subprocess

from common import ROOT, Figure

RUNS = 3
NAMES = {"create": "create, pages of 500", "walk": "walk the states (unchanged)", "update": "update every tenth",
         "list": "list, pages of 100", "bare": "floor: bare inserts"}


def add_options(parser):
    parser.add_argument("--records", type=int, default=50000)
    parser.add_argument("--bytes", type=int, default=5000, help="of one record")


def measure(options, place, _state):
    text = subprocess.run([ROOT / "build/release/bench/store_bench", str(options.records), str(options.bytes), place],
                          capture_output=True, text=True, check=True).stdout
    cpu = {kind: float(re.search(re.escape(name) + r".*?([\d.]+) us of CPU", text).group(1))
           for kind, name in NAMES.items()}
    return [Figure("create", cpu["create"], "us/record", cpu["bare"], "bare inserts", group="CPU"),
            Figure("walk the states", cpu["walk"], "us/record", group="CPU"),
            Figure("update", cpu["update"], "us/record", cpu["bare"], "bare inserts", group="CPU"),
            Figure("list", cpu["list"], "us/record", group="CPU")]
