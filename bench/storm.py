"""./dev bench storm: many connections of one host that dies and comes back.

The host is peoplesim, which resets every call while it is "dead" and counts how many it serves at a
time. Penstock's intervals are those of the product but for --probe-max (30 minutes there), and the
schedule is short, so that every connection meets the outage within minutes. Measured: how long it
takes until every connection is offline, how many calls the dead host gets, how many calls it serves
at a time, how long after its return the connections are online, and caught up; events per
connection; CPU and memory of the server throughout.
"""
import collections
import concurrent.futures
import contextlib
import pathlib
import sqlite3
import time

from common import Figure, at_most

from harness import Server, Simulator
from harness.setup import connection_body, new_organization

RUNS = 1
DOCUMENT = "docs/outages.md"
STATUS_EVENTS = ("connection.online", "connection.offline")


def add_options(parser):
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--schedule", default="5m", help="of every connection")
    parser.add_argument("--probe-max", default="1m", help="the option probe_max")
    parser.add_argument("--dark", type=int, default=60, help="seconds from the last one offline to the return")


def reader(server):
    return contextlib.closing(sqlite3.connect(f"file:{server.data}/penstock.db?mode=ro", uri=True))


def ask(server, sql):
    with reader(server) as db:
        return db.execute(sql).fetchall()


def number(server, sql):
    return ask(server, sql)[0][0]


def create(server, token, sim, count, **settings):
    """Connections that are switched off, so that nothing is read; then, while no server runs, online."""
    def make(numbers):
        api = server.api(token)
        for _ in numbers:
            api.post("/v1/connections", json=connection_body(sim, enabled=False, **settings), status=201)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(make, [range(i, count, 8) for i in range(8)]))
    server.stop()
    with contextlib.closing(sqlite3.connect(server.data / "penstock.db")) as db:
        db.execute("UPDATE connection SET status = 'online', status_reason = '', initial_sync_done = 1,"
                   " last_tick_at = ?", (int(time.time() * 1e6),))
        db.execute("INSERT OR REPLACE INTO outage SELECT pk, 1, 0, 0, 0, NULL, 0, 0, 'online', 0,"
                   " status_since - 3600000000, 0, 0, 0, 0, 9223372036854775807, 9223372036854775807, '', '' FROM connection")
        db.commit()
    server.start()


def look(server, watch):
    """One point of the picture: seconds, connections offline, syncs that completed so far."""
    offline, done = (number(server, f"SELECT count(*) FROM {what}") for what in (
        "connection WHERE status = 'offline'", f"sync WHERE pk > {watch['after']} AND status = 'completed'"))
    watch["series"].append((round(time.monotonic() - watch["begun"], 1), offline, done))
    watch["peak"] = max(watch["peak"], server.memory())


def wait_for(what, done, seconds, server, watch):
    """Seconds until done(); the server is looked at meanwhile."""
    begun = time.monotonic()
    while not done():
        if time.monotonic() - watch["looked"] > 1:
            watch["looked"] = time.monotonic()
            look(server, watch)
        if time.monotonic() - begun > seconds:
            raise SystemExit(f"waited {seconds} s for {what}")
        time.sleep(0.25)
    return time.monotonic() - begun


def events_per_connection(server):
    """How many events of each type a connection has: {(type, count): connections}."""
    rows = ask(server, "SELECT connection_pk, type, count(*) FROM event WHERE type LIKE 'connection.%'"
                       " GROUP BY connection_pk, type")
    return collections.Counter((kind, count) for _, kind, count in rows)


def prepare(options, place):
    place = pathlib.Path(place)
    sim = Simulator(place / "sim", orders=5).start()
    server = Server(place / "server", probe_max=options.probe_max).start()
    token = new_organization(server)
    create(server, token, sim, options.connections, entities=["items"], schedule=options.schedule)
    return sim, server


def finish(options, place, state):
    for program in reversed(state or ()):
        program.stop(expect=None)


def spent(server):
    return sum(server.cpu_by_thread().values())


def measure(options, place, state):
    sim, server = state
    count = options.connections
    watch = {"peak": 0, "series": [], "begun": time.monotonic(), "looked": 0, "after": 0}
    status = "SELECT count(*) FROM connection WHERE status = '{}'"
    # The first reads, so that what follows are incremental ones.
    wait_for("the first reads", lambda: number(server, "SELECT count(*) FROM stream WHERE last_success_at > 0") == count,
             3600, server, watch)
    before = number(server, "SELECT max(pk) FROM sync")
    sim.control("POST", "/sim/faults", json={"kind": "reset"})
    sim.control("DELETE", "/sim/stats")
    cpu = spent(server)
    watch.update(series=[], begun=time.monotonic(), after=before)
    offline_s = wait_for("all to be offline", lambda: number(server, status.format("offline")) == count, 3600, server, watch)
    wait_for("the dark", lambda t=time.monotonic(): time.monotonic() - t > options.dark, 7200, server, watch)
    down, down_cpu = sim.control("GET", "/sim/stats"), spent(server) - cpu
    found = ask(server, "SELECT max(c.status_since - o.failing_since) / 1e6 FROM connection c"
                        " JOIN outage o ON o.connection_pk = c.pk")[0][0]
    dark_s = offline_s + options.dark
    failed = number(server, f"SELECT count(*) FROM sync WHERE pk > {before} AND status = 'failed'")
    ended = number(server, "SELECT max(pk) FROM sync")
    watch["after"], back_at = ended, time.monotonic() - watch["begun"]
    sim.control("DELETE", "/sim/stats")
    cpu = spent(server)
    sim.control("DELETE", "/sim/faults")
    first_s = wait_for("the first online", lambda: number(server, status.format("online")) > 0, 3600, server, watch)
    online_s = wait_for("all to be online", lambda: number(server, status.format("online")) == count, 3600, server, watch)
    caught_s = wait_for("all to be caught up", lambda: number(
        server, f"SELECT count(DISTINCT connection_pk) FROM sync WHERE pk > {ended} AND status = 'completed'") == count,
        3600, server, watch)
    back, back_cpu = sim.control("GET", "/sim/stats"), spent(server) - cpu
    back_s = first_s + online_s + caught_s
    look(server, watch)
    series = list(watch["series"])
    wait_for("the events", lambda: number(server, "SELECT count(*) FROM outage WHERE told <> 'online'") == 0, 900, server, watch)
    events = events_per_connection(server)
    wrong = sum(n for (kind, times), n in events.items() if times != 1)
    seen = sum(n for (kind, times), n in events.items() if kind in STATUS_EVENTS and times == 1)
    return [
        Figure("until all are offline", offline_s, "s", group="down",
               extra={"schedule": options.schedule, "series": series, "back_at": back_at, "connections": count}),
        Figure("one connection, first failure to offline, at most", found, "s", goal=at_most(60), group="down"),
        Figure("calls that the dead host got", down["calls"], "calls", group="down", extra={"seconds": dark_s}),
        Figure("calls at a time, at most", down["concurrent_max"], "calls", goal=at_most(4), group="down"),
        Figure("syncs that failed, per connection", failed / count, "syncs", group="down"),
        Figure("CPU", 100 * down_cpu / dark_s, "% of a core", group="down"),
        Figure("return to first online", first_s, "s", group="back"),
        Figure("first online to all online", online_s, "s", goal=at_most(60), group="back"),
        Figure("all online to all caught up", caught_s, "s", group="back"),
        Figure("calls at a time, at most", back["concurrent_max"], "calls", goal=at_most(4), group="back"),
        Figure("calls per connection", back["calls"] / count, "calls", group="back"),
        Figure("CPU", 100 * back_cpu / back_s, "% of a core", group="back"),
        Figure("connections with exactly one offline and one online event", min(seen / 2, count), "connections",
               goal=(">=", count, ""), group="events"),
        Figure("events too many or too few", wrong + max(0, 2 * count - seen), "events", goal=at_most(0), group="events"),
        Figure("memory of the server, at most", watch["peak"] / 2**20, "MiB"),
    ]


# ---- the picture ---------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 260, 60, 30, 24


def pictures(result):
    """Connections that are offline, and those that were caught up, over time."""
    extra = result["figures"][0]["extra"][0]
    series, count, back = extra["series"], extra["connections"], extra["back_at"]
    end = next((at for at, _, done in series if at > back and done >= count), series[-1][0])
    series = [point for point in series if point[0] <= end]

    def x(seconds):
        return LEFT + (WIDTH - LEFT - 10) * seconds / end

    def y(number_of):
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * min(1, number_of / count)

    def line(column, colour, since=0):
        points = " ".join(f"{x(point[0]):.1f},{y(point[column]):.1f}" for point in series if point[0] >= since)
        return f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>'

    def words(left, top, text, anchor="middle", colour="#333"):
        return (f'<text x="{left:.1f}" y="{top:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="12" '
                f'font-family="sans-serif">{text}</text>')

    ticks = [second for second in range(0, int(end) + 1, 60 if end < 1200 else 300)]
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
             f'aria-label="Connections offline and caught up over time">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
             *[words(x(t), HEIGHT - 10, f"{t} s") for t in ticks],
             *[f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(n):.1f}" y2="{y(n):.1f}" stroke="#ddd"/>'
               + words(LEFT - 6, y(n) + 4, f"{n:,.0f}", "end") for n in (0, count / 2, count)],
             f'<line x1="{x(back):.1f}" x2="{x(back):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#888" '
             'stroke-dasharray="4 3"/>', words(x(back), 16, "the host is back"),
             line(1, "#c0392b"), words(x(back * 0.5) - 8, y(count * 0.62), "offline", "end", "#c0392b"),
             line(2, "#2471a3", back), words(x(end) - 4, y(count * 0.5), "caught up", "end", "#2471a3"), "</svg>"]
    return {"outages-storm.svg": "\n".join(parts) + "\n"}
