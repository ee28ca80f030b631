"""./dev bench start: from exec to ready, with stores of several sizes; the binary; memory at rest.

A store is made by the store's own code (bench/fill.c) and removed afterwards. Ready is the moment in
which GET /readyz answers 200, asked for without a pause from before the start. Warm: the file lies in
the system's page cache; cold: it and the program were dropped from it before; killed: the server
before this one was ended by kill -9 with its log full. Beside it: the sqlite3 program opening the
same store for one row.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

from common import ROOT, Figure, at_most

from harness import Server
from harness.programs import binary, environment, run_cli
from harness.setup import new_organization

RUNS = 3
STARTS = 5  # of each kind in one run
RECORD_BYTES = 5000
STORED = 5600  # bytes of the file per such record
READY_MS, BINARY_MB, REST_MIB = 200, 5, 16


def add_options(parser):
    parser.add_argument("--sizes", default="0,1", help="of the stores, in GB: 0,1,10")
    parser.add_argument("--idle", type=int, default=5, help="seconds of requests now and then before memory is read")


class Store:
    """A data directory with a store of about that many gigabytes."""

    def __init__(self, place, gigabytes):
        self.name, self.place = f"{gigabytes} GB", place
        need = gigabytes * 1.2e9 + 1e9
        if shutil.disk_usage(place.parent).free < need:
            raise SystemExit(f"a store of {gigabytes} GB needs {need / 1e9:.0f} GB of disk")
        self.server = Server(place).start()
        self.token = new_organization(self.server)
        self.server.stop()
        self.path = self.server.data / "penstock.db"
        records = int(gigabytes * 1e9 / STORED)
        if records:
            subprocess.run([ROOT / "build/release/bench/bench_fill", self.path, str(records), str(RECORD_BYTES)],
                           check=True, stdout=subprocess.DEVNULL)
        self.bytes = self.path.stat().st_size


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask_ready(port):
    """Whether /readyz answers 200 now."""
    with socket.socket() as s:
        s.settimeout(5)
        if s.connect_ex(("127.0.0.1", port)) != 0:
            return False
        s.sendall(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        return s.recv(64).startswith(b"HTTP/1.1 200")


def start(store):
    """One start: milliseconds from exec until ready, and the running child."""
    port = free_port()
    command = [str(binary("penstock")), "serve", "--listen", f"127.0.0.1:{port}", "--data-dir", str(store.server.data),
               "--dev"]
    with open(store.place / "start.log", "ab") as log:
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 env=environment(store.place), close_fds=True)
        while not ask_ready(port):
            if child.poll() is not None or time.perf_counter() - begun > 60:
                raise SystemExit(f"penstock did not start: {(store.place / 'start.log').read_text()[-2000:]}")
            time.sleep(0.0002)
        return (time.perf_counter() - begun) * 1000, child, port


def drop_from_cache(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def end(child, kill=False):
    if kill:
        child.kill()
    else:
        child.terminate()
    child.wait(30)


def median_of(starts):
    return sorted(starts)[len(starts) // 2]


def sqlite_ms(store):
    begun = time.perf_counter()
    subprocess.run(["sqlite3", f"file:{store.path}?mode=ro", "SELECT count(*) FROM connection"], check=True,
                   stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1000


def time_starts(store, before=lambda: None):
    times = []
    for _ in range(STARTS):
        before()
        ms, child, _ = start(store)
        end(child)
        times.append(ms)
    return median_of(times)


def dirty(store):
    """Leave the store as a kill -9 does, in the middle of writing: with a log to be read."""
    _, child, _ = start(store)
    for _ in range(3):
        run_cli(store.place, ["organizations", "create", f"o{time.monotonic_ns()}", "--data-dir", store.server.data])
    end(child, kill=True)


def cold(store):
    for path in (store.path, binary("penstock")):
        drop_from_cache(path)


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {name: int(re.search(rf"{name}:\s+(\d+) kB", text).group(1)) / 1024 for name in ("VmRSS", "RssAnon")}


def memory(store, idle):
    """MiB after a start, and after some requests now and then."""
    _, child, port = start(store)
    try:
        time.sleep(0.5)
        first = status_of(child.pid)
        until = time.monotonic() + idle
        while time.monotonic() < until:
            ask_ready(port)
            with socket.create_connection(("127.0.0.1", port)) as s:
                s.sendall(b"GET /v1/connections HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n"
                          b"Authorization: Bearer " + store.token.encode() + b"\r\n\r\n")
                while s.recv(65536):
                    pass
            time.sleep(0.02)
        return first, status_of(child.pid)
    finally:
        end(child)


def binary_megabytes(place):
    stripped = place / "stripped"
    subprocess.run(["strip", "-o", stripped, binary("penstock")], check=True)
    size = stripped.stat().st_size / 1e6
    stripped.unlink()
    return size


def prepare(options, place):
    return [Store(place / f"store-{size}", int(size)) for size in options.sizes.split(",")]


def measure(options, place, stores):
    figures = []
    for store in stores:
        figures += [
            Figure("ready, warm", time_starts(store), "ms", sqlite_ms(store), "sqlite3", at_most(READY_MS), store.name,
                   {"store_bytes": store.bytes}),
            Figure("ready, cold", time_starts(store, lambda s=store: cold(s)), "ms", goal=at_most(READY_MS),
                   group=store.name)]
        figures.append(Figure("ready, after kill -9", time_starts(store, lambda s=store: dirty(s)), "ms",
                              goal=at_most(READY_MS), group=store.name))
    first, later = memory(stores[0], options.idle)
    figures += [Figure("memory at rest, after the start", first["VmRSS"], "MiB", goal=at_most(REST_MIB), extra=first),
                Figure("memory at rest, after requests", later["VmRSS"], "MiB", goal=at_most(REST_MIB), extra=later),
                Figure("of it, not of files", later["RssAnon"], "MiB"),
                Figure("binary, stripped", binary_megabytes(place), "MB", goal=at_most(BINARY_MB))]
    return figures


def details(result):
    return [f"{f['group']}: the file has {f['extra'][-1]['store_bytes'] / 1e9:.2f} GB"
            for f in result["figures"] if f["name"] == "ready, warm"]
