"""./dev bench api: how fast the API answers, beside nginx serving the same bytes from files.

A store with 100,000 purchase orders (of 10 source rows) and what belongs to them, copied from the
simulator before. Each case asks for many different pages or records with wrk, 64 connections that are
kept open, first from penstock, then the same answers as files from nginx with as many workers. Then
the pages again while a first sync of another connection writes as fast as it can.

Pages per second, latency, and the CPU that a page costs. All three programs share the cores.
"""
import json
import pathlib
import shutil
import socket
import subprocess
import time

from common import Figure, at_least, at_most, number

from harness import Server, Simulator
from harness.setup import connect_to, new_organization, wait_sync
from harness.wait import wait_until

RUNS = 3
PATHS = 32  # different answers of a case
SMALL_PAGE = 15000
SHARE, PAGES, P99_MS = 0.25, 15000, 10


def add_options(parser):
    parser.add_argument("--orders", type=int, default=100000, help="orders in the store")
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement")
    parser.add_argument("--connections", type=int, default=64, help="that wrk keeps open")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--keep", action="store_true", help="stop after the store is made, and say how to reach it")


# ---- nginx ---------------------------------------------------------------------------------------

NGINX = """
daemon off; master_process on; worker_processes {workers}; error_log {place}/error.log; pid {place}/pid;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; etag off;
  default_type application/json; open_file_cache max=10000 inactive=1h; open_file_cache_valid 1h;
  client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;
  server {{ listen 127.0.0.1:{port} reuseport; root {place}/files; }}
}}
"""


class Nginx:
    """The peer: files of exactly the answers' bytes, sendfile, no log, as many workers as loops."""

    def __init__(self, place, workers):
        self.place, self.workers = place, workers
        (place / "files").mkdir(parents=True)
        place.chmod(0o755)
        for above in place.parents:
            if above.stat().st_mode & 0o005 != 0o005 and str(above).startswith(str(place.parent)):
                above.chmod(0o755)  # its workers are another user

    def start(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = self.place / "nginx.conf"
        config.write_text(NGINX.format(place=self.place, workers=self.workers, port=port))
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self.child = subprocess.Popen([binary, "-c", config, "-p", self.place], stdin=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{port}"
        wait_until(self.listens, "nginx to listen", 10)
        return self

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(self.url.rsplit(":", 1)[1]))) == 0

    def cpu_seconds(self):
        children = pathlib.Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text().split()
        return sum(int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in children) / 1e9

    def stop(self):
        self.child.terminate()
        self.child.wait(10)


# ---- cases ---------------------------------------------------------------------------------------


class Case:
    """Some different answers of one kind: their paths, their bytes."""

    def __init__(self, name, api, paths):
        self.name, self.paths, self.bodies = name, [], []
        for path in paths:
            response = api.call("GET", path)
            if response.status_code != 200:
                raise SystemExit(f"{path}: {response.status_code} {response.text[:300]}")
            self.paths.append(path)
            self.bodies.append(response.content)
        self.bytes = sum(map(len, self.bodies)) / len(self.bodies)

    def write(self, place, files):
        """The lists of paths for wrk, and the files for nginx."""
        slug = self.name.replace(" ", "-")
        (files / slug).mkdir()
        for i, body in enumerate(self.bodies):
            (files / slug / f"{i}.json").write_bytes(body)
        self.own, self.peer = place / f"{slug}.own", place / f"{slug}.peer"
        self.own.write_text("\n".join(self.paths) + "\n")
        self.peer.write_text("\n".join(f"/{slug}/{i}.json" for i in range(len(self.bodies))) + "\n")


def walk(api, path, count=PATHS):
    """The paths of the first pages of a list."""
    paths, cursor = [], None
    while len(paths) < count:
        paths.append(path + (f"&cursor={cursor}" if cursor else ""))
        cursor = api.get(paths[-1])["next_cursor"]
        if not cursor:
            break
    return paths


def cases(api, connection):
    base = f"/v1/connections/{connection}"
    orders = api.get(f"{base}/purchase-orders?limit=200")["data"]
    suppliers = api.call("GET", f"{base}/suppliers?limit=100")
    small = max(1, round(SMALL_PAGE / len(suppliers.content) * len(suppliers.json()["data"])))
    newest = api.get(f"{base}/changes?after=0&limit=1")["last_seq"]
    named = list(dict.fromkeys(order["supplier_id"] for order in orders if order["supplier_id"]))[:PATHS]
    yield Case("15 KB page", api, walk(api, f"{base}/suppliers?limit={small}"))
    yield Case("100 suppliers", api, walk(api, f"{base}/suppliers?limit=100"))
    yield Case("100 orders", api, walk(api, f"{base}/purchase-orders?limit=100"))
    yield Case("one order", api, [f"{base}/purchase-orders/{order['id']}" for order in orders])
    yield Case("10 orders of a supplier", api,
               [f"{base}/purchase-orders?limit=10&supplier_id={supplier}" for supplier in named])
    yield Case("100 changes", api,
               [f"{base}/changes?limit=100&after={newest * i // (PATHS + 1)}" for i in range(PATHS)])


# ---- measuring -----------------------------------------------------------------------------------


def wrk(url, paths, token, options, cpu):
    """One measurement; the JSON of paths.lua, and the server's CPU in microseconds a page."""
    script = pathlib.Path(__file__).with_name("paths.lua")
    before = cpu()
    done = subprocess.run(["wrk", "-t2", f"-c{options.connections}", f"-d{options.seconds}s", "-s", script, url, "--",
                           paths, token], capture_output=True, text=True, check=True, timeout=60 + options.seconds)
    spent = cpu() - before
    result = json.loads(done.stdout.splitlines()[-1])
    if result["errors"] or not result["requests"]:
        raise SystemExit(f"wrk on {url}, {paths.name}: {result['errors']} errors in {result['requests']} requests")
    result["rate"] = result["requests"] / result["seconds"]
    result["cpu_us"] = spent / result["requests"] * 1e6
    return result


def loop_cpu(server):
    """CPU of the loops alone: what a sync writes meanwhile is not the page's."""
    return lambda: sum(spent for name, spent in server.cpu_by_thread().items() if name.startswith("server"))


class State:
    """What is made once: the store behind a server, the cases, the peer."""


def prepare(options, place):
    s = State()
    options.seconds = max(1, int(options.seconds))
    s.sim = Simulator(place / "sim", orders=options.orders, seed=1, lines=5, schedules=2).start()
    s.server = Server(place / "server", max_per_address=2 * options.connections + 64).start()
    s.nginx = None
    s.token = new_organization(s.server)
    s.api = s.server.api(s.token)
    s.connection = connect_to(s.api, s.sim, schedule="7d")
    ended = wait_sync(s.api, s.connection, seconds=600)
    if ended["status"] != "completed":
        raise SystemExit(f"the store could not be made: {json.dumps(ended)}")
    s.cases = [case for case in cases(s.api, s.connection) if options.only in case.name]
    if options.keep:
        input(f"{s.server.url} {s.token} {s.connection} pid {s.server.pid}\n" + "\n".join(
            f"{case.name}: {case.paths[0]}" for case in s.cases) + "\nEnter ends it: ")
        raise SystemExit(0)
    s.nginx = Nginx(place / "nginx", 2).start()
    for case in s.cases:
        case.write(place, place / "nginx/files")
    return s


def compare(s, case, options, group, share=None, pages=None, p99=None):
    """One case from both; the figures of the group."""
    own = wrk(s.server.url, case.own, s.token, options, loop_cpu(s.server))
    peer = wrk(s.nginx.url, case.peer, s.token, options, s.nginx.cpu_seconds)
    goals = [goal for goal in (share and (peer["rate"] * share, f"{share:.0%} of nginx"),
                               pages and (pages, "")) if goal]
    goal = max(goals) if goals else None
    extra = {"own": own, "nginx": peer, "bytes": case.bytes}
    return [
        Figure("pages", own["rate"], "pages/s", peer["rate"], "nginx", at_least(*goal) if goal else None, group, extra),
        Figure("p99", own["p99_us"] / 1000, "ms", peer["p99_us"] / 1000, "nginx", at_most(p99) if p99 else None, group),
        Figure("CPU", own["cpu_us"], "us/page", peer["cpu_us"], "nginx", group=group),
    ]


def while_writing(s, options):
    """The small page, and one order, while another connection is read for the first time."""
    other = connect_to(s.api, s.sim, schedule="7d", entities=["purchase_orders"])
    sync = wait_until(lambda: next(iter(s.api.get(f"/v1/connections/{other}/syncs")["data"]), None), "the sync", 20)
    path = f"/v1/connections/{other}/syncs/{sync['id']}"
    wait_until(lambda: s.api.get(path)["counts"]["pages"] > 0, "its first page", 20)
    figures = []
    for case in s.cases:
        if case.name not in ("15 KB page", "one order"):
            continue
        begun, before = time.monotonic(), s.api.get(path)["counts"]["rows"]
        figures += compare(s, case, options, f"{case.name}, while a sync writes", p99=P99_MS)
        now = s.api.get(path)
        if now["status"] == "running":
            figures.append(Figure("rows written meanwhile", (now["counts"]["rows"] - before) / (time.monotonic() - begun),
                                  "rows/s", group=f"{case.name}, while a sync writes"))
    s.api.call("POST", f"{path}/cancel")
    wait_sync(s.api, other, sync["id"], 60)
    s.api.call("DELETE", f"/v1/connections/{other}?purge=true")
    return figures


def measure(options, _place, s):
    figures = []
    for case in s.cases:
        small = case.name == "15 KB page"
        group = f"{case.name} ({number(case.bytes / 1000)} KB)"
        figures += compare(s, case, options, group, SHARE, PAGES if small else None, P99_MS)
    return figures + while_writing(s, options)


def finish(_options, _place, s):
    if not s:
        return
    if s.nginx:
        s.nginx.stop()
    s.server.kill()
    s.sim.kill()


def details(result):
    lines = []
    for figure in result["figures"]:
        if figure["name"] == "pages":
            own, peer = figure["extra"][-1]["own"], figure["extra"][-1]["nginx"]
            lines.append(f"{figure['group']}: p50 {own['p50_us'] / 1000:.2f} ms (nginx {peer['p50_us'] / 1000:.2f}), "
                         f"longest {own['max_us'] / 1000:.1f} ms (nginx {peer['max_us'] / 1000:.1f}), "
                         f"{own['bytes'] / own['seconds'] / 1e6:,.0f} MB/s")
    return lines
