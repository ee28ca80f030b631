"""./dev bench webhooks: how fast events are written, delivered from a backlog, and heard of.

The receiver is bench/sink.c: one thread on epoll that answers 204. Beside deliveries: bench/post_floor.c, a curl
multi handle posting the same bodies with as many connections and as many headers to the same receiver, without
store or signature. All of it shares the cores of the machine.

- enqueue: events with their deliveries into a store that no server has open, each in a durable commit of its own
  and many to a commit, for no endpoint and for one (bench/outbox.c)
- backlog: the store is filled while no server runs; a server is started and delivers all of it, in order per
  connection: over many connections, and of one alone. Meanwhile a client of the API asks in a steady beat, and
  again when nothing is left to do. Then all events of the many are sent again (POST .../resend)
- latency: syncs of small changes; from the time that the event carries (before its commit) until its body has
  arrived, by the same clock; for one endpoint alone, and with a dead and a silent one beside it
- herd: the same for 900 endpoints that are told of everything, alone and with 100 beside them that never answer
"""
import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time

from common import ROOT, Figure, at_least, at_most

import start
from harness import Api, Server, Simulator
from harness.setup import connect_to, new_organization, start_sync, wait_sync
from harness.wait import wait_until

RUNS = 3
RATE, P99_MS, READY_MS, LANE_RATE, GROWTH_MIB, ENQUEUE = 10000, 50, 200, 1000, 64, 0.9
API_TIMES, REPLAY_RATE, REPLAY_MIB, HERD_TIMES = 2, 5000, 32, 1.5
IN_FLIGHT = 8  # deliveries at a time to one endpoint
BENCH = ROOT / "build/release/bench"


def add_options(parser):
    parser.add_argument("--events", type=int, default=1_000_000, help="of the backlog over many connections")
    parser.add_argument("--connections", type=int, default=200, help="that they are of")
    parser.add_argument("--one", type=int, default=100_000, help="events of the backlog of one connection")
    parser.add_argument("--syncs", type=int, default=1000, help="for the latency")
    parser.add_argument("--rate", type=float, default=20, help="of them a second")
    parser.add_argument("--herd", type=int, default=60, help="syncs in each half of the herd's part, one a second")
    parser.add_argument("--only", default="", help="parts whose name has this in it: enqueue, backlog, one, latency, herd")


class Sink:
    """The receiver."""

    def __init__(self):
        self.child = subprocess.Popen([BENCH / "sink_bench"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.child.stdout.readline())

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def ask(self, path):
        with socket.create_connection(("127.0.0.1", self.port)) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
            return s.recv(4096).decode().split("\r\n\r\n", 1)[1]

    def stats(self):
        return json.loads(self.ask("/stats"))

    def reset(self):
        self.ask("/reset")

    def stop(self):
        self.child.stdin.close()
        self.child.wait(10)


class Outbox:
    """A data directory with an organization, and endpoints; filled while no server runs."""

    def __init__(self, place, urls=()):
        self.place = place
        self.server = Server(place).start()
        self.key = new_organization(self.server)
        self.hooks = [self.server.api(self.key).post("/v1/webhooks", json={"url": url}, status=201) for url in urls]
        self.server.stop()
        self.store = self.server.data / "penstock.db"
        self.bodies = place / "bodies.txt"

    def fill(self, events, connections, per_commit):
        done = subprocess.run([BENCH / "outbox_bench", self.store, str(events), str(connections), str(per_commit)],
                              check=True, capture_output=True, text=True)
        *bodies, result = done.stdout.splitlines()
        self.bodies.write_text("\n".join(bodies) + "\n", encoding="utf-8")
        return json.loads(result)


# ---- enqueue -------------------------------------------------------------------------------------


def measure_enqueue(place, sink):
    figures = []
    for per_commit, count, name in ((1, 3000, "a commit each"), (500, 200_000, "500 to a commit")):
        rates = {}
        for urls in ((), (sink.url("/off"),)):
            directory = place / f"enqueue-{per_commit}-{len(urls)}"
            result = Outbox(directory, urls).fill(count, 200, per_commit)
            rates[len(urls)] = result["events"] / result["seconds"]
            shutil.rmtree(directory)
        goal = at_least(ENQUEUE * rates[0], "90 % of it without an endpoint") if per_commit == 1 else None
        figures.append(Figure(f"for one endpoint, {name}", rates[1], "events/s", rates[0], "none", goal, "enqueue"))
    return figures


# ---- backlog -------------------------------------------------------------------------------------


def memory_of(pid, name):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", text).group(1)) / 1024


def cpu_of(pid):
    return sum(int((task / "schedstat").read_text().split()[0])
               for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def floor(sink, outbox, count, connections):
    done = subprocess.run([BENCH / "post_floor_bench", sink.url("/floor"), outbox.bodies, str(count), str(connections)],
                          check=True, capture_output=True, text=True)
    result = json.loads(done.stdout)
    return result["posted"] / result["seconds"], result["cpu_seconds"] / result["posted"] * 1e6


class Beat:
    """A client of the API on one kept connection: a page of connections, `EVERY` seconds apart, in a thread."""

    EVERY = 0.02

    def __init__(self, port, key):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.headers = {"Authorization": f"Bearer {key}"}
        self.seconds, self.is_over = [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        self.connection.close()

    def run(self):
        while not self.is_over.wait(self.EVERY):
            begun = time.perf_counter()
            self.connection.request("GET", "/v1/connections?limit=20", headers=self.headers)
            answer = self.connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            self.seconds.append(time.perf_counter() - begun)

    def p99_ms(self):
        return sorted(self.seconds)[int((len(self.seconds) - 1) * 0.99)] * 1000


def received(sink, child, events):
    """The receiver's figures when so many have come, and how many a second that were."""
    patience = time.monotonic() + max(120, events / 200)
    while (stats := sink.stats())["count"] < events:
        if time.monotonic() > patience or child.poll() is not None:
            raise SystemExit(f"{stats['count']} of {events} were delivered")
        time.sleep(0.5)
    return stats["count"], (stats["count"] - 1) / ((stats["last_us"] - stats["first_us"]) / 1e6)


def forget_peak(pid):
    """From now on VmHWM is the peak since now (proc(5), clear_refs)."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    return memory_of(pid, "VmRSS")


def replay(sink, child, api, hook, events):
    sink.reset()
    before = forget_peak(child.pid)
    api.post(f"{hook}/resend", json={"since": "2020-01-01T00:00:00Z", "status": "all"}, status=202)
    _, rate = received(sink, child, events)
    return {"rate": rate, "growth": memory_of(child.pid, "VmHWM") - before}


def drain(sink, outbox, events, again):
    """Start, deliver everything, with `again` once more, stop. Returns what was seen."""
    sink.reset()
    ms, child, port = start.start(outbox)
    try:
        api = Api(f"http://127.0.0.1:{port}", outbox.key)
        hook = f"/v1/webhooks/{outbox.hooks[0]['id']}"
        at_rest = memory_of(child.pid, "VmRSS")
        with Beat(port, outbox.key) as busy:
            count, rate = received(sink, child, events)
        wait_until(lambda: api.get(hook)["waiting"] == 0, "all outcomes to be written", 60, every=0.2)
        seen = {"ms": ms, "count": count, "rate": rate, "growth": memory_of(child.pid, "VmHWM") - at_rest,
                "peak": memory_of(child.pid, "VmHWM"), "cpu_us": cpu_of(child.pid) / events * 1e6}
        with Beat(port, outbox.key) as idle:
            time.sleep(10)
        seen |= {"api_ms": busy.p99_ms(), "api_idle_ms": idle.p99_ms()}
        return seen | {"again": replay(sink, child, api, hook, events)} if again else seen
    finally:
        start.end(child)


def measure_backlog(place, sink, name, events, connections, goal):
    outbox = Outbox(place / "backlog", [sink.url("/hook")])
    outbox.fill(events, connections, 500)
    size = outbox.store.stat().st_size
    seen = drain(sink, outbox, events, again=connections > 1)
    in_flight = min(IN_FLIGHT, connections)
    rate, cpu_us = floor(sink, outbox, min(events, 200_000), in_flight)
    shutil.rmtree(outbox.place)
    extra = {"events": events, "connections": connections, "store_bytes": size, "received": seen["count"]}
    figures = [
        Figure("durable, signed", seen["rate"], "deliveries/s", rate, f"curl, {in_flight} at a time", at_least(goal), name,
               extra),
        Figure("CPU of a delivery", seen["cpu_us"], "us", cpu_us, "curl", None, name),
        Figure("ready with the backlog", seen["ms"], "ms", goal=at_most(READY_MS), group=name),
        Figure("memory, peak above the start's", seen["growth"], "MiB", goal=at_most(GROWTH_MIB), group=name,
               extra={"peak": seen["peak"]}),
        Figure("an API request meanwhile, p99", seen["api_ms"], "ms", seen["api_idle_ms"], "none",
               at_most(API_TIMES * seen["api_idle_ms"], "twice that without"), name),
    ]
    if "again" in seen:
        figures += [Figure("all sent again", seen["again"]["rate"], "deliveries/s", goal=at_least(REPLAY_RATE), group=name),
                    Figure("memory of that, peak above before", seen["again"]["growth"], "MiB", goal=at_most(REPLAY_MIB),
                           group=name)]
    return figures


# ---- latency -------------------------------------------------------------------------------------


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def drip(sim, connections, syncs, rate):
    """Syncs of one changed record, so many a second; those that meet a running one are left out. connections:
    each with the client of its organization."""
    begun = time.monotonic()
    for number in range(syncs):
        time.sleep(max(0, begun + number / rate - time.monotonic()))
        sim.change("change", "suppliers", 1, seed=number + 1)
        api, connection = connections[number % len(connections)]
        start_sync(api, connection, entities=["suppliers"], busy_is_fine=True)
    for api, connection in connections:
        wait_sync(api, connection)


def connect_some(api, sim):
    connections = [(api, connect_to(api, sim, name=f"Number {i}", schedule="7d")) for i in range(4)]
    for _, connection in connections:
        wait_sync(api, connection)
    return connections


def measure_latency(options, place, sink):
    figures = []
    directory = place / "latency"
    sim = Simulator(directory / "sim", orders=20).start()
    server = Server(directory).start()
    try:
        api = server.api(new_organization(server))
        connections = connect_some(api, sim)
        api.post("/v1/webhooks", json={"url": sink.url("/hook")}, status=201)
        for name, more in (("alone", []), ("beside a dead and a silent one",
                                           [f"http://127.0.0.1:{closed_port()}/", sink.url("/slow")])):
            for url in more:
                api.post("/v1/webhooks", json={"url": url}, status=201)
            sink.reset()
            drip(sim, connections, options.syncs, options.rate)
            stats = settled(sink)
            group = f"latency, {name}"
            extra = {key: stats[key] for key in ("count", "p999_us", "max_us")}
            figures += [Figure("p50", stats["p50_us"] / 1000, "ms", group=group),
                        Figure("p99", stats["p99_us"] / 1000, "ms", goal=at_most(P99_MS), group=group, extra=extra)]
    finally:
        server.stop()
        sim.stop()
        shutil.rmtree(directory)
    return figures


# ---- herd ----------------------------------------------------------------------------------------

HERDS, HEALTHY, SILENT = 2, 450, 50  # organizations, and endpoints of each


def measure_herd(options, place, sink):
    directory = place / "herd"
    sim = Simulator(directory / "sim", orders=20).start()
    server = Server(directory).start()
    try:
        apis = [server.api(new_organization(server, name=f"Herd {number}")) for number in range(HERDS)]
        connections = [one for api in apis for one in connect_some(api, sim)]
        p99 = []
        for count, path in ((HEALTHY, "/hook"), (SILENT, "/slow")):
            for api in apis:
                for number in range(count):
                    api.post("/v1/webhooks", json={"url": sink.url(f"{path}/{number}")}, status=201)
            sink.reset()
            drip(sim, connections, options.herd, 1)
            stats = settled(sink)
            p99.append(stats["p99_us"] / 1000)
    finally:
        server.stop()
        sim.stop()
        shutil.rmtree(directory)
    extra = {key: stats[key] for key in ("count", "p999_us", "max_us")}
    return [Figure(f"p99 of {HERDS * HEALTHY}, with {HERDS * SILENT} silent ones beside", p99[1], "ms", p99[0], "none",
                   at_most(HERD_TIMES * p99[0], "1.5 times that without"), "herd", extra)]


def settled(sink):
    """The receiver's count when it does not grow any more."""
    last = -1
    while (stats := sink.stats())["count"] != last:
        last = stats["count"]
        time.sleep(0.5)
    return stats


def measure(options, place, _):
    parts = {
        "enqueue": lambda sink: measure_enqueue(place, sink),
        "backlog": lambda sink: measure_backlog(place, sink, "backlog of many connections", options.events,
                                                options.connections, RATE),
        "one": lambda sink: measure_backlog(place, sink, "backlog of one connection", options.one, 1, LANE_RATE),
        "latency": lambda sink: measure_latency(options, place, sink),
        "herd": lambda sink: measure_herd(options, place, sink),
    }
    figures = []
    for name, part in parts.items():
        if options.only not in name:
            continue
        sink = Sink()
        try:
            figures += part(sink)
        finally:
            sink.stop()
    return figures


def details(result):
    lines = []
    for f in result["figures"]:
        extra = f.get("extra", [{}])[-1]
        if "store_bytes" in extra:
            lines.append(f"{f['group']}: {extra['events']:,} events of {extra['connections']} in a store of "
                         f"{extra['store_bytes'] / 1e9:.2f} GB, {extra['received']:,} received")
        elif "max_us" in extra:
            lines.append(f"{f['group']}: {extra['count']:,} deliveries, p99.9 {extra['p999_us'] / 1000:.1f} ms, "
                         f"most {extra['max_us'] / 1000:.1f} ms")
    return lines
