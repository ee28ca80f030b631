"""What happens around the server: no room, no descriptors, files that are locked, damaged, newer or
not to be written. Each time: words that say what, where and what to do, a fitting status, nothing
lost, and it goes on by itself when the cause is gone."""
import contextlib
import hashlib
import json
import os
import pathlib
import resource
import socket
import sqlite3
import subprocess
import time

import pytest

from harness import Server, binary, wait_until
from harness.programs import environment, slowness
from harness.setup import connect_to, new_organization, synced, wait_sync

pytestmark = pytest.mark.threads


def ready(server):
    """(status, detail) of /readyz."""
    response = server.api().call("GET", "/readyz")
    return response.status_code, response.json().get("detail", "")


def check(doctor, name):
    """What a doctor's JSON says of one thing."""
    return next(c for c in doctor["checks"] if c["name"] == name)


def doctor(server):
    return json.loads(server.cli("doctor", "--json", check=False).stdout)


def sound(server):
    """Stop it; then every check of the doctor is fine."""
    server.stop()
    found = [c for c in doctor(server)["checks"] if c["verdict"] == "error"]
    assert not found, found


# ---- no room ----

@contextlib.contextmanager
def small_disk(directory, megabytes):
    """A file system of that size below `directory`, or None where mounting is not allowed."""
    directory.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", directory],
                             capture_output=True, check=False).returncode == 0
    try:
        yield directory if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", directory], check=False)


class FullDisk:
    """The file system has no room left: a file fills it."""
    code, word = 503, "full"

    def __init__(self, server):
        self.filler = server.data / "filler"

    def begin(self):
        with open(self.filler, "wb") as out, contextlib.suppress(OSError):
            while True:
                out.write(bytes(65536))
                out.flush()
        with open(self.filler, "ab", buffering=0) as out, contextlib.suppress(OSError):
            while True:
                out.write(bytes(512))

    def end(self):
        self.filler.unlink()


class NoLargerFiles:
    """Files cannot grow: writes fail with EFBIG, which is an input/output error to the store."""
    code, word = 500, "disk I/O error"

    def __init__(self, server):
        self.server = server

    def begin(self):
        resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    def end(self):
        resource.prlimit(self.server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def refuses_writes_and_heals(server, fault):
    """With data in the store: nothing can be written for a while."""
    key = new_organization(server)
    api = server.api(key)
    fault.begin()
    body = {"name": "Refused", "connector": "peoplesoft", "config": {"base_url": "http://127.0.0.1:1"},
            "credentials": {"username": "u", "password": "p"}}
    answer = api.call("POST", "/v1/connections", json=body)
    assert answer.status_code == fault.code and answer.json()["origin"] == "penstock", answer.text
    assert fault.code == 500 or fault.word in answer.json()["detail"], answer.text
    status, detail = wait_until(lambda: ready(server) if ready(server)[0] != 200 else None, "not to be ready")
    assert status == 503 and "cannot be written" in detail and fault.word in detail
    assert api.get("/v1/connections")["data"] == [], "reads go on"
    assert server.api().call("GET", "/healthz").status_code == 200
    said = check(doctor(server), "store")
    assert said["verdict"] == "error" and fault.word in said["detail"] and said["fix"]
    spent = server.cpu_seconds()
    time.sleep(1)
    assert server.cpu_seconds() - spent < 0.5 * slowness(), "it spins"
    fault.end()
    wait_until(lambda: ready(server)[0] == 200, "to be ready again", 10 * slowness())
    body["name"] = "Accepted"
    api.post("/v1/connections", json=body, status=201)
    assert [c["name"] for c in api.get("/v1/connections")["data"]] == ["Accepted"]
    assert server.log_lines(msg="the store is written again")
    sound(server)


def test_a_full_disk_stops_writes_not_reads_and_heals(programs, place):
    """On a small tmpfs; where mounting is not allowed, with a limit on the size of files."""
    with small_disk(place / "disk", 8) as disk:
        server = programs(Server(disk or place / "disk", **({"sqlite_cache": "1MiB"} if disk else {})))
        refuses_writes_and_heals(server, FullDisk(server) if disk else NoLargerFiles(server))
        assert disk is None or not server.alive()


def test_write_errors_stop_writes_not_reads_and_heal(server):
    refuses_writes_and_heals(server, NoLargerFiles(server))


def test_a_sync_over_a_disk_that_fails_for_a_while_loses_nothing(server, sim):
    key = new_organization(server)
    api = server.api(key)
    connection = connect_to(api, sim)
    wait_sync(api, connection)
    fault = NoLargerFiles(server)
    sim.change("change", "purchase_orders", 20)
    fault.begin()
    answer = api.call("POST", f"/v1/connections/{connection}/syncs", json={"mode": "full"})
    assert answer.status_code == 500
    fault.end()
    wait_until(lambda: ready(server)[0] == 200, "to be ready again", 10 * slowness())
    assert synced(api, connection, "full")["status"] == "completed"
    feed = api.get(f"/v1/connections/{connection}/changes", params={"after": 0, "limit": 500})["data"]
    assert [c["seq"] for c in feed] == list(range(1, len(feed) + 1))
    sound(server)


# ---- no descriptors ----

def descriptors_at_rest(server):
    """How many are open when every thread has opened what it needs."""
    seen = []

    def is_steady():
        seen.append(len(os.listdir(f"/proc/{server.pid}/fd")))
        return len(seen) > 5 and len(set(seen[-5:])) == 1
    wait_until(is_steady, "every thread to have begun", 10 * slowness(), every=0.1)
    return seen[-1]


def test_without_descriptors_it_waits_and_goes_on(server):
    in_use = descriptors_at_rest(server)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (in_use + 4, 4096))
    sockets = []
    try:
        for _ in range(40):
            sockets.append(socket.create_connection(("127.0.0.1", server.port), timeout=5))
        spent = server.cpu_seconds()
        time.sleep(1)
        assert server.cpu_seconds() - spent < 0.5 * slowness(), "it spins"
        assert server.alive()
    finally:
        for s in sockets:
            s.close()
    wait_until(lambda: ready(server)[0] == 200, "to accept again", 10 * slowness())
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    assert new_organization(server)
    assert ready(server)[0] == 200


# ---- locks ----

def test_a_foreign_writer_holds_the_store_for_a_while(server):
    other = sqlite3.connect(server.data / "penstock.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    spent = server.cpu_seconds()
    refused = server.cli("organizations", "create", "Waits", check=False)
    assert refused.returncode == 75 and "locked" in refused.stderr, refused.stderr
    assert server.cpu_seconds() - spent < 1 * slowness(), "it spins"
    other.execute("ROLLBACK")
    other.close()
    assert new_organization(server, "Goes on")
    sound(server)


# ---- stores that cannot be opened ----

def serve_fails(server, *prefix):
    """(exit status, words) of a server that must not start on this store."""
    done = subprocess.run([*prefix, str(binary("penstock")), "serve", "--listen", "127.0.0.1:0", "--data-dir",
                           str(server.data)], capture_output=True, text=True, env=environment(server.directory),
                          cwd=server.directory, timeout=60, check=False)
    assert done.returncode != 0, done.stderr
    return done.returncode, done.stderr


def not_a_database(path):
    path.write_bytes(b"this is no database at all " * 1000)


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2])


def of_a_newer_version(path):
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO schema_migration VALUES (999, 'from the future', '00', 0)")


def of_something_else(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE customers (name)")
    path.chmod(0o600)


@pytest.mark.parametrize("damage, status, words, fix", [
    (not_a_database, 70, "not a database", "restore"),
    (truncated, 70, "malformed", "restore"),
    (of_something_else, 70, "not a store of Penstock", "restore"),
    (of_a_newer_version, 65, "newer version (schema 999", "newer program"),
])
def test_a_store_that_cannot_be_opened_is_explained_and_left_alone(server, damage, status, words, fix):
    new_organization(server)
    server.stop()
    path = server.data / "penstock.db"
    good = path.read_bytes()
    damage(path)
    bad = hashlib.sha256(path.read_bytes()).hexdigest()
    assert serve_fails(server)[0] == status
    assert words in serve_fails(server)[1]
    said = [c for c in doctor(server)["checks"] if c["verdict"] == "error"]
    assert said and words in said[0]["detail"] and fix in said[0]["fix"], said
    assert hashlib.sha256(path.read_bytes()).hexdigest() == bad, "it was written"
    for name in ("penstock.db-wal", "penstock.db-shm"):
        (server.data / name).unlink(missing_ok=True)
    path.write_bytes(good)
    server.start()
    sound(server)


def test_the_end_of_a_log_that_is_damaged_costs_what_it_held(server):
    new_organization(server, "Kept")
    server.stop()
    server.start()
    new_organization(server, "In the log")
    log = server.data / "penstock.db-wal"
    server.kill()
    content = bytearray(log.read_bytes())
    content[-5000:] = os.urandom(5000)
    log.write_bytes(content)
    server.start()
    names = [o["name"] for o in server.cli("organizations", json_output=True)["data"]]
    assert "Kept" in names
    sound(server)


# ---- files that may not be written ----

# Root without its capabilities: a user like any other, who owns everything here.
PLAIN_ROOT = ("setpriv", "--inh-caps=-all", "--bounding-set=-all") if os.geteuid() == 0 else ()


@pytest.mark.parametrize("name, mode, words", [
    (".", 0o500, "penstock.db"),
    ("penstock.db", 0o400, "cannot write"),
    ("root.key", 0o000, "root.key"),
])
def test_what_may_not_be_written_or_read_is_named(server, name, mode, words):
    new_organization(server)
    server.stop()
    path = pathlib.Path(server.data / name)
    before = path.stat().st_mode & 0o777
    path.chmod(mode)
    try:
        status, text = serve_fails(server, *PLAIN_ROOT)
        assert status in (74, 77) and words in text, text
    finally:
        path.chmod(before)
    server.start()
    sound(server)


# ---- looking changes nothing ----

def contents(directory):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(directory.iterdir())
            if p.is_file() and p.suffix in (".db", ".db-wal", ".key")}


def test_the_doctor_writes_nothing_not_even_to_an_older_store(server):
    new_organization(server)
    server.kill()
    killed = contents(server.data)
    assert check(doctor(server), "store")["verdict"] == "ok"
    assert contents(server.data) == killed
    server.start()
    server.stop()
    with contextlib.closing(sqlite3.connect(server.data / "penstock.db")) as db, db:
        db.execute("DELETE FROM schema_migration WHERE number = (SELECT max(number) FROM schema_migration)")
    older = contents(server.data)
    said = check(doctor(server), "store")
    assert said["verdict"] == "ok" and "the next start brings it" in said["detail"]
    assert contents(server.data) == older
