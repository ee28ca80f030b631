"""./dev bench idle: 100,000 connections on a schedule of one day, and nothing to do but their ticks.

Every connection is read once a day: with 100,000 of them somewhat more than one sync a second. The
simulator's answers say that nothing has changed. Measured over --seconds: memory, CPU of the server
with and without the threads that make the calls and map what comes, and how late ticks become syncs.
"""
import pathlib
import time
from datetime import datetime

from common import Figure, at_most
from storm import ask, create, number

from harness import Server, Simulator
from harness.setup import new_organization

RUNS = 1
DOCUMENT = "docs/outages.md"


def add_options(parser):
    parser.add_argument("--connections", type=int, default=100000)
    parser.add_argument("--seconds", type=int, default=120)


def prepare(options, place):
    place = pathlib.Path(place)
    sim = Simulator(place / "sim", orders=5).start()
    server = Server(place / "server").start()
    token = new_organization(server)
    create(server, token, sim, options.connections, entities=["items"], schedule="1d")
    return sim, server, token


def finish(options, place, state):
    for program in reversed((state or ())[:2]):
        program.stop(expect=None)


def due_times(server, token, until):
    """Ticks that come before `until`: {connection id: seconds}."""
    due, api = {}, server.api(token)
    for connection in api.pages("/v1/connections", limit=500):
        at = datetime.fromisoformat(connection["next_run_at"]).timestamp()
        if at < until:
            due[connection["id"]] = at
    return due


def lateness(server, token, due, since):
    """Seconds from each due tick to the sync that it became."""
    late, api = [], server.api(token)
    for connection, at in due.items():
        syncs = api.get(f"/v1/connections/{connection}/syncs", params={"limit": 1})["data"]
        if syncs and syncs[0]["trigger"] == "scheduled":
            late.append(datetime.fromisoformat(syncs[0]["requested_at"]).timestamp() - at)
        else:
            late.append(float("inf"))
    return late


def measure(options, place, state):
    sim, server, token = state
    began = time.time()
    due = due_times(server, token, began + 3600)
    time.sleep(5)
    begun, cpu, first = time.time(), server.cpu_by_thread(), number(server, "SELECT count(*) FROM sync")
    peak = 0
    while time.time() - begun < options.seconds:
        peak = max(peak, server.memory())
        time.sleep(0.5)
    seconds = time.time() - begun
    after = server.cpu_by_thread()
    runs = number(server, "SELECT count(*) FROM sync") - first
    used = {name: after[name] - cpu.get(name, 0) for name in after}
    calls = sum(value for name, value in used.items() if name.startswith(("sync-", "fetch-")))
    window = {c: at for c, at in due.items() if begun <= at < begun + seconds - 5}
    late = sorted(lateness(server, token, window, begun)) or [0.0]
    assert ask(server, "SELECT count(*) FROM sync WHERE status = 'failed'")[0][0] == 0
    return [
        Figure("memory, at most", peak / 2**20, "MiB", goal=at_most(256)),
        Figure("CPU beyond the syncs' own threads", 100 * (sum(used.values()) - calls) / seconds, "% of a core",
               goal=at_most(2), extra=used),
        Figure("CPU in all", 100 * sum(used.values()) / seconds, "% of a core"),
        Figure("syncs", runs / seconds, "per second"),
        Figure("a tick becomes a sync, latest", late[-1], "s", goal=at_most(1), extra={"ticks": len(late)}),
        Figure("median", late[len(late) // 2], "s"),
    ]
