"""What has to hold of lists and of the change feed whatever happens meanwhile: rows change at random, syncs run
one after another, walkers walk and followers follow.

The seed (PST_SEED) decides what every thread chooses and is shown when a test fails; PST_SIZE=full runs longer.
"""
import os
import pathlib
import random
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import reference  # noqa: E402  (after the path is set)
from harness import Server, Simulator, instant, slowness  # noqa: E402
from harness.setup import connect_to, new_organization, start_sync, synced, wait_sync  # noqa: E402

ENTITIES = sorted(reference.KEYS)
SECONDS = 60.0 if os.environ.get("PST_SIZE") == "full" else 5.0
SEED = int(os.environ.get("PST_SEED", random.SystemRandom().randrange(1 << 31)))

# Filters by entity: the parameters, the fields that decide, and whether a record matches.
FILTERS = {
    "purchase_orders": [
        ({"status": "approved"}, {"status"}, lambda r: r["status"] == "approved"),
        ({"status": "dispatched", "business_unit": "US001"}, {"status", "business_unit"},
         lambda r: r["status"] == "dispatched" and r["business_unit"] == "US001"),
        ({"order_date_after": "2026-06-01"}, {"order_date"}, lambda r: (r["order_date"] or "") >= "2026-06-01"),
        ({"order_date_before": "2026-06-01", "buyer": "JKUMAR"}, {"order_date", "buyer"},
         lambda r: r["order_date"] is not None and r["order_date"] < "2026-06-01" and r["buyer"] == "JKUMAR"),
        ({"updated_after": "2000-01-01"}, set(), lambda r: True),  # every record moves in its range
        ({"updated_before": "2100-01-01"}, set(), lambda r: True),
        ({"updated_after": "2000-01-01", "status": "approved"}, {"status"}, lambda r: r["status"] == "approved"),
        ({"created_after": "2000-01-01"}, set(), lambda r: True),
        ({"synced_after": "2000-01-01"}, set(), lambda r: True),
    ],
    "work_orders": [({"status": "open"}, {"status"}, lambda r: r["status"] == "open")],
    "suppliers": [({"updated_after": "2000-01-01"}, set(), lambda r: True),
                  ({"status": "approved"}, {"status"}, lambda r: r["status"] == "approved")],
    "items": [({"status": "active"}, {"status"}, lambda r: r["status"] == "active")],
}
STATES = {"exclude": lambda r: r["deleted_at"] is None, "include": lambda r: True,
          "only": lambda r: r["deleted_at"] is not None}


def rng_of(*words):
    return random.Random("/".join(map(str, (SEED, *words))))


class Worker(threading.Thread):
    """Repeats step() until it is told to end; what it raises is raised again by end()."""

    def __init__(self, world, number):
        super().__init__(daemon=True)
        self.world = world
        self.rng = rng_of(type(self).__name__, number)
        self.api = world.server.api(world.key)
        self.ending = threading.Event()
        self.error = None
        self.steps = self.met = 0  # met: steps during which something changed

    def run(self):
        try:
            while not self.ending.is_set():
                self.step()
                self.steps += 1
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error

    def end(self):
        self.ending.set()
        self.join(60 * slowness())
        assert not self.is_alive(), f"{type(self).__name__} does not end"
        if self.error:
            raise self.error


class Changer(Worker):
    """Changes the source and syncs: mostly incremental, full now and then, so that deletes show."""

    def step(self):
        sim = self.world.sim
        for _ in range(self.rng.randrange(1, 5)):
            entity = self.rng.choice(ENTITIES)
            actions = ["change", "change", "add"] + (["delete"] if entity.endswith("orders") else [])
            more = {"between": True} if (action := self.rng.choice(actions)) == "add" and self.rng.random() < 0.5 else {}
            sim.change(action, entity, self.rng.randrange(1, 6), seed=self.rng.randrange(1, 1 << 31), **more)
        if self.rng.random() < 0.3:  # fields that lists are filtered by
            keys = sim.change("change", "purchase_orders", 3, seed=self.rng.randrange(1, 1 << 31))["keys"]
            for key in keys:
                sim.control("POST", "/sim/change", json={
                    "action": "change", "entity": "purchase_orders", "key": key[:2],
                    "set": {"A.PO_STATUS": self.rng.choice(["A", "D", "X", "I"])}})
        mode = "full" if self.rng.random() < 0.25 else "incremental"
        sync = synced(self.api, self.world.connection, mode, seconds=60)
        assert sync["status"] == "completed", sync


class Walker(Worker):
    """Walks lists page by page in their default order, and holds what it saw against what was there all the time."""

    def step(self):
        entity = self.rng.choice(ENTITIES)
        params, fields, matches = self.rng.choice(FILTERS[entity] + [({}, set(), lambda r: True)] * 2)
        deleted = self.rng.choice(["exclude", "exclude", "include", "only"])
        limit = self.rng.choice([1, 2, 3, 7, 20, 50, 500])
        world = self.world
        before = world.last_seq(self.api)
        seen = self.walk(entity, limit, {**params, "deleted": deleted})
        after = world.last_seq(self.api)
        # What is there now and has not changed since `before` was there like that all the time.
        now = {r["id"]: r for r in self.api.pages(world.path(entity), limit=500, deleted="include")}
        changes = world.feed(self.api, before)
        self.met += before != after
        moved = {}
        for change in changes:
            is_same = change["op"] == "updated" and not fields & set(change["fields"])
            moved[change["record_id"]] = moved.get(change["record_id"], True) and is_same
        what = f"{entity} by {limit}, {params}, deleted={deleted}, from {before} to {after}"
        assert len({r["id"] for r in seen}) == len(seen), f"{what}: a record twice"
        ids = {r["id"] for r in seen}
        for record in now.values():
            if moved.get(record["id"], True):
                fits = matches(record) and STATES[deleted](record)
                assert fits == (record["id"] in ids), f"{what}: {'missing' if fits else 'too many'}: {record}"
        for record in seen:  # and each as it was at some time, a match
            assert matches(record) and STATES[deleted](record), f"{what}: no match: {record}"

    def walk(self, entity, limit, params):
        seen, cursor = [], None
        while True:
            page = self.api.get(self.world.path(entity), params={**params, "limit": limit,
                                                                 **({"cursor": cursor} if cursor else {})})
            assert len(page["data"]) <= limit
            seen += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return seen


class Follower(Worker):
    """Follows the feed from 0, each its own way."""

    def __init__(self, world, number):
        super().__init__(world, number)
        self.limit = (1, 7, 100, 500)[number % 4]
        self.wait = (0, 2, 1, 0)[number % 4]
        self.changes = []

    def step(self):
        self.read()
        if self.wait == 0:
            time.sleep(self.rng.uniform(0, 0.05))

    def read(self):
        after = self.changes[-1]["seq"] if self.changes else 0
        page = self.api.get(self.world.path("changes"), params={"after": after, "limit": self.limit, "wait": self.wait})
        assert len(page["data"]) <= self.limit
        for change in page["data"]:
            assert change["seq"] == after + 1, f"the feed goes from {after} to {change['seq']}"
            after = change["seq"]
        assert page["next_after"] == after
        self.met += bool(page["data"])
        self.changes += page["data"]
        return page["data"]

    def catch_up(self):
        self.wait = 0
        while self.read():
            pass


class World:
    """A server, a simulator and a connection that has synced once."""

    def __init__(self, server, sim):
        self.server, self.sim = server, sim
        self.key = new_organization(server)
        self.api = server.api(self.key)
        self.connection = connect_to(self.api, sim, schedule="manual")
        assert wait_sync(self.api, self.connection)["status"] == "completed"

    def path(self, entity):
        return f"/v1/connections/{self.connection}/{entity.replace('_', '-')}"

    def last_seq(self, api):
        return api.get(f"/v1/connections/{self.connection}")["last_seq"]

    def feed(self, api, after, limit=500):
        changes = []
        while True:
            page = api.get(self.path("changes"), params={"after": after, "limit": limit})
            if not page["data"]:
                return changes
            changes += page["data"]
            after = changes[-1]["seq"]

    def run(self, *kinds):
        """One worker of each kind beside the changer, for SECONDS, or longer where the machine is so slow that
        nothing has met yet. They are returned when all have ended."""
        workers = [Changer(self, 0)] + [kind(self, i) for i, kind in enumerate(kinds)]
        print(f"seed {SEED}")
        for worker in workers:
            worker.start()
        started = time.monotonic()

        def is_enough():
            seconds = time.monotonic() - started
            has_met = all(w.steps for w in workers) and any(w.met for w in workers)
            return seconds > SECONDS * min(slowness(), 3) and has_met or seconds > 60 * slowness()

        while not is_enough() and not any(w.error for w in workers):
            time.sleep(0.05)
        for worker in workers:
            worker.end()
        assert all(w.steps > 0 for w in workers)
        return workers[1:]


@pytest.fixture
def world(programs, place):
    sim = programs(Simulator(place / "sim", orders=150, lines="1-3", schedules="1-2", seed=SEED % 1000 + 1))
    return World(programs(Server(place, delete_guard=100, page_rows=80)), sim)


def test_a_walk_misses_and_repeats_nothing_that_matches_throughout(world):
    walkers = world.run(Walker, Walker, Walker)
    assert any(w.met for w in walkers), f"nothing changed during any of {sum(w.steps for w in walkers)} walks"


def test_the_feed_replays_to_what_the_lists_show(world):
    followers = world.run(Follower, Follower, Follower, Follower)
    for follower in followers:
        follower.catch_up()
    last = world.last_seq(world.api)
    assert last > 0 and len(followers[0].changes) == last
    for follower in followers[1:]:
        assert follower.changes == followers[0].changes
    for limit in (3, 211):
        assert world.feed(world.api, 0, limit) == followers[0].changes
    alive, times = {}, []
    for change in followers[0].changes:
        key = (change["entity"], change["record_id"])
        assert (key in alive) == (change["op"] != "created"), change
        if change["op"] == "deleted":
            del alive[key]
        else:
            alive[key] = change
        times.append(instant(change["at"]))
    shown = {(entity, r["id"]): r for entity in ENTITIES for r in world.api.pages(world.path(entity), limit=100)}
    assert shown.keys() == alive.keys()
    for key, change in alive.items():
        assert shown[key]["seq"] == change["seq"] and shown[key]["synced_at"] == change["at"]
    for entity in ENTITIES:
        narrow, after = [], 0
        while True:
            page = world.api.get(world.path("changes"), params={"after": after, "limit": 50, "entities": entity})
            narrow += page["data"]
            if page["next_after"] == after:
                break
            after = page["next_after"]
        assert narrow == [c for c in followers[0].changes if c["entity"] == entity]
