"""One generation of a lane: a simulator, one store through many lives of the server, and what is held against
it after each death."""
import math
import pathlib
import shutil
import subprocess
import time

import reference
from examine import Broken, Observer, check_itself, opened_copy
from harness import Server, Simulator, slowness, wait_until
from harness.programs import binary, environment, sanitizer_reports
from harness.setup import connect_to, new_organization, start_sync, wait_sync
from paper import GONE, Paper, Writer
from post import Post, check_feed
from truth import ENTITIES, Changer, Truth, new_rng

# How the server is killed, and how often. `run` waits for requests and kills later, `start` kills a server that
# was only just started, `stop` one that was asked to stop, `new` one that is making a store, `post` one that is
# sending many webhooks.
WAYS = {"run": 50, "start": 20, "stop": 13, "new": 5, "post": 12}
WRITERS = 2


# The stored copy, while the faults of the source have made the connection offline.
ALSO_OFFLINE = {"Cache-Control": "stale-if-error=604800"}


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
                    raise Broken(f"the feed goes from {self.seq} to {change['seq']}")
                self.seq = change["seq"]
                named[(change["entity"], change["record_id"])] = change["op"]
            if not page["data"]:
                break
        for (entity, record_id), op in named.items():
            if op == "deleted":
                self.records.pop((entity, record_id), None)
                continue
            record = api.get(f"/v1/connections/{self.connection}/{entity.replace('_', '-')}/{record_id}", headers=ALSO_OFFLINE)
            if record.get("deleted_at"):
                self.records.pop((entity, record_id), None)  # a later change says so too
            else:
                self.records[(entity, record_id)] = record
        return len(named)


class Backups:
    """Asks for a backup now and then, and holds what came of it against what was known before and after."""

    def __init__(self, generation, rng):
        self.generation, self.rng = generation, rng
        self.place = generation.place / "backups"
        self.place.mkdir()
        self.child = None
        self.number = 0

    def maybe_start(self):
        if self.rng.random() > 0.35:
            return False
        g = self.generation
        self.path = self.place / f"{self.number}.db"
        self.seq_before = g.follower.seq
        self.paper_before = {key: thing.state for key, thing in g.paper.connections.items()}
        self.child = subprocess.Popen([str(binary("penstock")), "backup", str(self.path), "--data-dir", str(g.server.data)],
                                      env=environment(g.place), cwd=g.place, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return True

    def settle(self):
        """After the kill. A backup that has its name is whole, whether or not somebody was told."""
        if self.child is None:
            return
        g = self.generation
        is_told = self.child.wait(timeout=60) == 0
        self.child = None
        if is_told and not self.path.exists():
            raise Broken("a backup that was called finished is not there")
        if not self.path.exists():
            g.tally["backups cut off"] += 1
            return  # the next one has the same name, and meets what is left of this one
        g.tally["backups finished" if is_told else "backups finished without an answer"] += 1
        self.verify()
        self.path.unlink()
        self.number += 1

    def verify(self):
        g = self.generation
        with opened_copy(self.path) as db:
            check_itself(db, thorough=True)
            g.observer.compare(db, is_backup=True)
            seq = db.execute("SELECT max(last_seq) FROM connection").fetchone()[0]
            names = dict(db.execute("SELECT public_id('conn_', id), name FROM connection WHERE deleted_at IS NULL"))
        if seq < self.seq_before:
            raise Broken(f"the backup has changes up to {seq}, {self.seq_before} were there before it")
        for key, state in self.paper_before.items():
            if state != GONE and key in names and int(names[key].split()[1]) < state:
                raise Broken(f"the backup has {key} as '{names[key]}', it was {state} before")
        place = g.place / "restored"
        place.mkdir(mode=0o700)
        shutil.copy(g.server.data / "root.key", place)
        for command in (["restore", self.path, "--yes"], ["doctor"]):
            done = subprocess.run([str(binary("penstock")), *map(str, command), "--data-dir", str(place)],
                                  env=environment(g.place), cwd=g.place, capture_output=True, text=True, check=False,
                                  timeout=120)
            if done.returncode != 0:
                raise Broken(f"penstock {command[0]} of a backup: {done.returncode}\n{done.stdout}{done.stderr}")
        shutil.rmtree(place)


class Generation:
    """A fresh simulator and store; run(count) kills the server so many times."""

    def __init__(self, place, seed, tally, tell, verbose):
        self.place = pathlib.Path(place)
        self.place.mkdir(parents=True)
        self.seed, self.tally, self.tell, self.verbose = seed, tally, tell, verbose
        self.rng = new_rng(seed, "kills")
        self.checks = new_rng(seed, "checks")
        self.lives = self.passwords = 0
        zone = self.rng.choice(["UTC", "America/New_York"])
        # Slow calls and small pages, so that most kills hit a run; deletes are many here, and meant.
        self.sim = Simulator(self.place / "sim", orders=120, lines="1-4", schedules="1-2", zone=zone,
                             seed=self.rng.randrange(1, 1 << 31), latency="2ms", jitter="12ms")
        self.server = Server(self.place, delete_guard=100, page_rows=60, sync_overlap="1s")
        self.post = Post(new_rng(seed, "post"), tally)

    def run(self, count):
        try:
            self.sim.start()
            self.begin()
            try:
                for kill in range(1, count + 1):
                    self.round(kill)
                    self.changer.check()
                    if not self.verbose and kill % 50 == 0:
                        self.tell(f"{kill} kills, seq {self.follower.seq}")
            finally:
                self.changer.ending.set()
            self.changer.end()
            self.finish()
        finally:
            self.server.kill()
            self.sim.kill()
            self.post.close()
        for report in sanitizer_reports(self.place):
            raise Broken(report)

    def begin(self):
        self.start()
        self.key = new_organization(self.server)
        api = self.server.api(self.key)
        self.post.begin(api)
        self.connection = connect_to(api, self.sim, schedule="7d")
        self.truth = Truth(self.sim, self.connection)
        self.observer = Observer(self.truth, self.connection)
        self.follower = Follower(self.connection)
        self.paper = Paper(self.sim, self.connection, {"interval": "7d"})
        self.backups = Backups(self, new_rng(self.seed, "backups"))
        self.changer = Changer(self.truth, new_rng(self.seed, "changes"))
        self.changer.start()

    def start(self, ready=True):
        self.post.starting()
        self.server.start(ready=ready)

    # ---- one kill ----

    def round(self, kill):
        ways = list(WAYS)
        way = self.rng.choices(ways, [WAYS[name] for name in ways])[0]
        started = time.monotonic()
        did = getattr(self, f"kill_{way}")()
        self.tally["kills"] += 1
        self.tally[f"kills ({way})"] += 1
        if self.verbose:
            self.tell(f"kill {kill:4} {way:5} {did}, seq {self.follower.seq}, {time.monotonic() - started:.2f} s")

    def kill_run(self, stop=False):
        writers, has_backup = self.live()
        if self.rng.random() < 0.1:
            self.change_password()
        # A backup of so small a store is short: half of them are to be met.
        delay = self.delay(0.01, 0.12) if has_backup and self.rng.random() < 0.6 else self.delay(0.0005, 2.0)
        time.sleep(delay)
        after = 0.0
        if stop:
            self.server.signal(15)
            after = self.delay(0.0002, 0.1)
            time.sleep(after)
        self.server.kill()
        self.end_writers(writers)
        did = self.examine()
        self.backups.settle()
        self.restart()
        return f"{delay * 1000:7.1f} ms" + (f", {after * 1000:.1f} ms after SIGTERM" if stop else "") + f", {did}"

    def kill_stop(self):
        return self.kill_run(stop=True)

    def kill_start(self):
        """Dies once more before it is up: what a recovery leaves half done is recovered, too."""
        self.server.kill()
        self.examine()
        delay = self.delay(0.0005, 0.15)
        self.start(ready=False)
        time.sleep(delay)
        self.server.kill()
        did = self.examine()
        self.restart()
        return f"{delay * 1000:7.1f} ms, {did}"

    def kill_post(self):
        """Dies while a range of events is sent again, shortly after the first of them came."""
        before = len(self.post.receiver.deliveries)
        queued = self.post.send_again(self.server.api(self.key))
        if queued:
            wait_until(lambda: len(self.post.receiver.deliveries) > before, "a delivery", 20 * slowness(), every=0.001)
        delay = self.delay(0.0005, 0.3)
        time.sleep(delay)
        self.server.kill()
        did = self.examine()
        self.restart()
        return f"{delay * 1000:7.1f} ms, {queued} events sent again, {did}"

    def kill_new(self):
        """A store that is being made: killed, started again, it has to serve."""
        place = self.place / f"new-{self.tally['kills (new)']}"
        server = Server(place)
        delays = []
        try:
            for _ in range(self.rng.randrange(1, 4)):
                delays.append(self.delay(0.001, 0.15))
                server.start(ready=False)
                time.sleep(delays[-1])
                server.kill()
            server.start()
            new_organization(server)
            server.stop()
            with opened_copy(server.data / "penstock.db") as db:
                check_itself(db, thorough=True)
        finally:
            server.kill()
        shutil.rmtree(place)
        return ", ".join(f"{delay * 1000:.1f} ms" for delay in delays)

    def delay(self, least, most):
        """Seconds, every order of magnitude alike."""
        return math.exp(self.rng.uniform(math.log(least), math.log(most))) * slowness()

    def live(self):
        """What the server is kept busy with until it dies."""
        api = self.server.api(self.key)
        if self.rng.random() < 0.8:
            mode = self.rng.choice(["incremental", "full"])
            entities = self.rng.sample(ENTITIES, self.rng.randrange(1, 4)) if self.rng.random() < 0.2 else None
            start_sync(api, self.connection, mode, entities, busy_is_fine=True)
        has_backup = self.backups.maybe_start()
        self.lives += 1
        writers = [Writer(self.paper, self.server, self.key, new_rng(self.seed, "writer", i, self.lives))
                   for i in range(WRITERS)]
        for writer in writers:
            writer.start()
        return writers, has_backup

    def change_password(self):
        """The system's password changes, and the connection's with it: from the answer on, the new one is tried."""
        self.passwords += 1
        password = f"word-{self.passwords}"
        self.sim.control("POST", "/sim/account", json={"password": password})
        self.server.api(self.key).patch(f"/v1/connections/{self.connection}",
                                        json={"credentials": {"username": self.sim.USER, "password": password}})
        self.tally["passwords changed"] += 1

    @staticmethod
    def end_writers(writers):
        for writer in writers:
            writer.ending.set()
        for writer in writers:
            writer.join()
            if writer.error:
                raise writer.error

    def examine(self, thorough=False):
        """The file as it is now. Tells what was going on."""
        with opened_copy(self.server.data / "penstock.db") as db:
            check_itself(db, thorough)
            self.observer.compare(db)
            self.paper.check_audit(db)
            running = db.execute("SELECT mode, phase FROM sync y JOIN sync_stream t ON t.sync_pk = y.pk"
                                 " WHERE t.status = 'running'").fetchall()
        what = "in a run" if running else "idle"
        if any(phase for _, phase in running):
            what = "deleting"
        self.tally[f"killed {what}"] += 1
        return what

    def restart(self):
        self.start()
        api = self.server.api(self.key)
        self.paper.settle(api, self.checks)
        self.follower.catch_up(api)
        self.post.settle(api)
        status = api.get(f"/v1/connections/{self.connection}")["status"]
        if status in ("authentication_required", "inactive"):
            raise Broken(f"the connection is {status}: the credentials that were acknowledged are not in force")

    # ---- the end ----

    def finish(self):
        """Nothing changes and nothing fails any more: an incremental sync has to bring everything but the
        deletes, and a full one those."""
        api = self.server.api(self.key)
        self.paper.schedule.asked = {"interval": "7d"}
        api.patch(f"/v1/connections/{self.connection}", json={"schedule": {"interval": "7d"}})
        for mode in ("incremental", "full"):
            wait_until(lambda mode=mode: start_sync(api, self.connection, mode, None, busy_is_fine=True),
                       "the runs before to end", 120 * slowness())
            last = wait_sync(api, self.connection, seconds=120)
            if last["status"] != "completed":
                raise Broken(f"the last {mode} sync: {last}")
            with opened_copy(self.server.data / "penstock.db") as db:
                self.observer.compare(db)
        self.follower.catch_up(api)
        for entity in ENTITIES:
            self.compare(api, entity)
        self.paper.settle(api, self.checks)
        check_feed(self.post.finish(api), self.connection, self.follower.seq)
        self.server.stop()
        self.examine(thorough=True)
        self.server.cli("doctor", seconds=120)
        self.tally["stores compared at the end"] += 1
        self.tally["writes acknowledged"] += self.paper.acknowledged
        self.tally["writes without an answer, done"] += self.paper.adopted
        self.tally["writes without an answer, not done"] += self.paper.absent
        self.tally["changes of the source"] += self.changer.batches
        self.tally["faults of the source"] += self.changer.faults
        self.tally["changes in the feed"] += self.follower.seq

    def compare(self, api, entity):
        with self.truth.lock:
            self.truth.note(entity)
            want = self.truth.current(entity)
        listed = list(api.pages(f"/v1/connections/{self.connection}/{entity.replace('_', '-')}", limit=500))
        have = {record["source_id"]: reference.shown(record) for record in listed}
        if len(have) != len(listed):
            raise Broken(f"{entity}: {len(listed)} listed, {len(have)} different")
        copy = {record["source_id"]: reference.shown(record)
                for (kind, _), record in self.follower.records.items() if kind == entity}
        for name, found in (("the store", have), ("the follower", copy)):
            differences = reference.differences(found, want)
            if differences:
                raise Broken(f"{entity}: {name} differs from the source: {differences}")
