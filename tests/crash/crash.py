#!/usr/bin/env python3
"""kill -9 during syncs of a changing system: nothing may be lost, doubled or made up.

    crash.py [--kills 50] [--seed N] [--orders 300] [--keep]

One simulator that keeps changing, one server that is killed again and again 0.5 to 3000 ms after
a sync was started (full or incremental, now and then of chosen entities), and one follower of the
change feed that lives through all of it. After each kill the store file is examined as the crash
left it, and after each restart the change feed continues without a gap. At the end, after a last
full sync, every record of the API equals the simulator's rows (through the reference mapping of
tests/e2e/reference.py), and so does what the follower put together.

The seed decides everything the test chooses and is printed. The directory is kept on failure.
"""
import argparse
import math
import pathlib
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "e2e")]

import reference  # noqa: E402
from harness import Problem, Server, Simulator, slowness, wait_until  # noqa: E402
from harness.programs import sanitizer_reports  # noqa: E402
from harness.setup import connect_to, new_organization, source_rows, start_sync, wait_sync  # noqa: E402

ENTITIES = tuple(reference.KEYS)


class Follower:
    """An integrator's copy, made from the change feed alone. It asks for a record when a change
    names it, as an integrator would."""

    def __init__(self, connection):
        self.connection = connection
        self.seq = 0
        self.records = {}

    def catch_up(self, api):
        """Reads the feed to its end; raises when a number is missing or comes twice."""
        named = {}
        while True:
            page = api.get(f"/v1/connections/{self.connection}/changes", params={"after": self.seq, "limit": 500})
            for change in page["data"]:
                if change["seq"] != self.seq + 1:
                    raise AssertionError(f"the feed goes from {self.seq} to {change['seq']}")
                self.seq = change["seq"]
                named[(change["entity"], change["record_id"])] = change["op"]
            if not page["data"]:
                break
        for (entity, record_id), op in named.items():
            if op == "deleted":
                self.records.pop((entity, record_id), None)
            else:
                path = f"/v1/connections/{self.connection}/{entity.replace('_', '-')}/{record_id}"
                record = api.get(path)
                if record.get("deleted_at"):
                    self.records.pop((entity, record_id), None)  # a later change says so too
                else:
                    self.records[(entity, record_id)] = record
        return len(named)


class Changer(threading.Thread):
    """Changes the simulator all the time, in small batches."""

    def __init__(self, sim, seed):
        super().__init__(daemon=True)
        self.sim, self.random = sim, random.Random(seed)
        self.ending = threading.Event()
        self.batches = 0
        self.error = None

    def run(self):
        try:
            while not self.ending.wait(self.random.uniform(0.05, 0.4)):
                action = self.random.choice(["change", "change", "change", "add", "delete"])
                entity = self.random.choice(ENTITIES if action != "delete" else ("purchase_orders", "work_orders"))
                count = self.random.randrange(1, 6 if action == "change" else 3)
                self.sim.change(action, entity, count, seed=self.random.randrange(1, 1 << 31))
                self.batches += 1
        except Exception as error:  # pylint: disable=broad-except; told by end()
            self.error = error

    def end(self):
        self.ending.set()
        self.join()
        if self.error:
            raise self.error


# What holds in the store at every moment: a name, and a query that gives the rows which break it.
INVARIANTS = [
    ("change numbers are 1, 2, 3, ... up to the connection's",
     "SELECT c.last_seq, count(x.seq), min(x.seq), max(x.seq) FROM connection c LEFT JOIN change x"
     " ON x.connection_pk = c.pk GROUP BY c.pk HAVING count(x.seq) <> c.last_seq"
     " OR (c.last_seq > 0 AND (min(x.seq) <> 1 OR max(x.seq) <> c.last_seq))"),
    ("the runs' counts add up to the changes",
     "SELECT c.last_seq, total FROM connection c, (SELECT sum(n_created + n_updated + n_deleted) AS total"
     " FROM sync_stream) WHERE total IS NOT NULL AND total <> c.last_seq"),
    ("a run that has ended has no open stream",
     "SELECT s.pk, t.status FROM sync s JOIN sync_stream t ON t.sync_pk = s.pk"
     " WHERE s.ended_at IS NOT NULL AND t.status IN ('queued', 'running')"),
]
INVARIANTS_PER_ENTITY = [
    ("the stream counts its records",
     "SELECT s.records, n FROM stream s, (SELECT count(*) AS n FROM {table} WHERE deleted_at IS NULL)"
     " WHERE s.entity = '{entity}' AND s.records <> n"),
    ("every record's newest change is in the feed",
     "SELECT r.source_id, r.seq FROM {table} r LEFT JOIN change x ON x.connection_pk = r.conn AND x.seq = r.seq"
     " WHERE x.record_id IS NOT r.id LIMIT 3"),
    ("no record lies behind the checkpoint of the run that wrote it",
     "SELECT r.source_id FROM {table} r JOIN change x ON x.connection_pk = r.conn AND x.seq = r.seq"
     " JOIN sync_stream t ON t.sync_pk = x.sync_pk AND t.stream_pk = x.stream_pk"
     " WHERE t.status = 'running' AND t.phase = 0 AND r.deleted_at IS NULL AND r.sort_key > t.sort_key LIMIT 3"),
]


def examine_store(server):
    """The file as the crash left it, opened as a copy: sound, and everything in it agrees. Tells
    whether a run was in progress."""
    with tempfile.TemporaryDirectory() as place:
        for path in server.data.glob("penstock.db*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, place)
        db = sqlite3.connect(pathlib.Path(place) / "penstock.db")
        verdict = db.execute("PRAGMA quick_check").fetchone()[0]
        if verdict != "ok":
            raise AssertionError(f"quick_check: {verdict}")
        checks = INVARIANTS + [(f"{entity}: {name}", query.format(entity=entity, table=f"rec_{entity}"))
                               for entity in ENTITIES for name, query in INVARIANTS_PER_ENTITY]
        for name, query in checks:
            broken = db.execute(query).fetchall()
            if broken:
                raise AssertionError(f"not so: {name}: {broken}")
        running = db.execute("SELECT count(*) FROM sync WHERE ended_at IS NULL AND status = 'running'").fetchone()[0]
        db.close()
        return running > 0


def random_delay(rng):
    """Seconds from 0.0005 to 3, every order of magnitude alike."""
    return math.exp(rng.uniform(math.log(0.0005), math.log(3.0)))


def one_round(rng, server, follower, connection, key):
    """Start a sync, kill, examine, restart. Returns whether a run was hit, and what was done."""
    api = server.api(key)
    mode = rng.choice(["incremental", "incremental", "full"])
    entities = rng.sample(ENTITIES, rng.randrange(1, 4)) if rng.random() < 0.3 else None
    busy = not start_sync(api, connection, mode, entities, busy_is_fine=True)
    delay = random_delay(rng)
    time.sleep(delay)
    server.kill()
    hit = examine_store(server)
    server.start()
    changes = follower.catch_up(server.api(key))
    return hit, (f"{'goes on' if busy else mode:11} {delay * 1000:7.1f} ms, {'in a run' if hit else 'idle':8} "
                 f"{changes:4} records changed, seq {follower.seq}")


def compare(sim, api, connection, follower):
    """Every record of every entity against the simulator's rows; returns findings."""
    findings, total = [], 0
    for entity in ENTITIES:
        want = reference.expected(entity, source_rows(sim, reference.QUERIES[entity]), connection, sim.zone)
        path = f"/v1/connections/{connection}/{entity.replace('_', '-')}"
        listed = list(api.pages(path, limit=500))
        have = {record["source_id"]: reference.shown(record) for record in listed}
        if len(have) != len(listed):
            findings.append(f"{entity}: {len(listed)} listed, {len(have)} different")
        findings += [f"store: {entity}: {line}" for line in reference.differences(have, want)]
        copy = {record["source_id"]: reference.shown(record)
                for (kind, _), record in follower.records.items() if kind == entity}
        findings += [f"follower: {entity}: {line}" for line in reference.differences(copy, want)]
        total += len(want)
    print(f"compared {total} records of {len(ENTITIES)} entities")
    return findings


def run(options, place):
    rng = random.Random(options.seed)
    # Slow calls and small pages, so that most kills hit a run; deletes are many here, and meant.
    sim = Simulator(place / "sim", orders=options.orders, seed=options.seed, latency="5ms", jitter="30ms").start()
    server = Server(place, delete_guard=100, page_rows=60).start()
    checks = failed = hits = 0
    try:
        key = new_organization(server)
        api = server.api(key)
        connection = connect_to(api, sim, schedule="7d")
        follower = Follower(connection)
        changer = Changer(sim, options.seed)
        changer.start()
        for kill in range(1, options.kills + 1):
            try:
                hit, did = one_round(rng, server, follower, connection, key)
                checks, hits = checks + 1, hits + hit
                print(f"kill {kill:4}: {did}", flush=True)
            except (AssertionError, Problem) as error:
                failed += 1
                print(f"kill {kill:4}: FAILED: {error}", flush=True)
                break
        changer.end()
        print(f"the simulator was changed {changer.batches} times; {hits} of {options.kills} kills hit a run")
        api = server.api(key)
        wait_until(lambda: start_sync(api, connection, "full", None, busy_is_fine=True), "the runs before to end",
                   120 * slowness())
        last = wait_sync(api, connection, seconds=120)
        if last["status"] != "completed":
            raise AssertionError(f"the last full sync: {last}")
        follower.catch_up(api)
        findings = compare(sim, api, connection, follower)
        for line in findings:
            print("DIFFERENT", line)
        checks, failed = (checks + 1, failed) if not findings else (checks, failed + 1)
        server.stop()
        sim.stop()
    finally:
        server.kill()
        sim.kill()
    for report in sanitizer_reports(place):
        print(report)
        failed += 1
    return checks, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--keep", action="store_true", help="keep the directory")
    options = parser.parse_args()
    print(f"seed {options.seed}; repeat with: tests/crash/crash.py --kills {options.kills} --seed {options.seed}")
    place = pathlib.Path(tempfile.mkdtemp(prefix="penstock-crash-"))
    passed, failed = run(options, place)
    if failed or options.keep:
        print(f"kept: {place}")
    else:
        shutil.rmtree(place)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
