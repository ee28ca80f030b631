"""What the simulated system has held at which time, and the thread that keeps changing it.

Every version of every document since the start is kept, as the record that Penstock has to make of it
(tests/e2e/reference.py), so that a store can be compared at any moment: whatever it holds has to be one of
the versions, never an earlier one than it held before, and never an earlier one than its checkpoints promise.
"""
import json
import random
import threading
import time
from dataclasses import dataclass

import reference

ENTITIES = tuple(reference.KEYS)
DELETABLE = ("purchase_orders", "work_orders")
LEVELS = {"purchase_orders": ("document", "line", "record"), "work_orders": ("document", "line")}


@dataclass
class Version:
    """doc None: the document is not there. stamp_us: the source's change stamp (None: it has none, or it is a
    date: the day's beginning). seen_us: a time at which the version was certainly there."""
    doc: dict | None
    stamp_us: int | None
    seen_us: int


def now_us():
    return time.time_ns() // 1000


def stamp_us(entity, row, zone):
    when = reference.moment(row.get(reference.STAMPS[entity]) or "", zone)
    return None if when is None else round(when.timestamp() * 1e6)


class Truth:
    """All versions of one simulator. Whoever reads `versions` holds `lock`: then nothing is in the source
    that is not in them."""

    def __init__(self, sim, connection):
        self.sim, self.connection = sim, connection
        self.lock = threading.Lock()
        self.versions = {entity: {} for entity in ENTITIES}
        self.raw = {entity: {} for entity in ENTITIES}
        with self.lock:
            for entity in ENTITIES:
                self.note(entity, 0)

    def note(self, entity, seen=None):
        """Take in what has changed; the lock is held. seen: since when it is there, default now."""
        documents = {}
        for row in self.sim.dump(reference.QUERIES[entity]):
            documents.setdefault(reference.source_id(row, reference.KEYS[entity]), []).append(row)
        seen = now_us() if seen is None else seen
        versions, raw = self.versions[entity], self.raw[entity]
        for sid, rows in documents.items():
            text = json.dumps(rows)
            if raw.get(sid) == text:
                continue
            raw[sid] = text
            doc = reference.without_nulls(reference.BUILDERS[entity](rows, self.connection, self.sim.zone))
            versions.setdefault(sid, []).append(Version(doc, stamp_us(entity, rows[0], self.sim.zone), seen))
        for sid in raw.keys() - documents.keys():
            del raw[sid]
            versions[sid].append(Version(None, None, seen))

    def change(self, action, entity, count, **more):
        with self.lock:
            self.sim.change(action, entity, count, **more)
            self.note(entity)

    def current(self, entity):
        """source_id -> record of what is there now; the lock is held."""
        return {sid: found[-1].doc for sid, found in self.versions[entity].items() if found[-1].doc is not None}


class Changer(threading.Thread):
    """Changes the simulator all the time, in small batches, and lets calls of it fail now and then."""

    FAULTS = ("500", "503", "reset", "garbage", "truncate", "row_cap")

    def __init__(self, truth, rng):
        super().__init__(daemon=True)
        self.truth, self.rng = truth, rng
        self.ending = threading.Event()
        self.batches = self.faults = 0
        self.error = None

    def run(self):
        try:
            while not self.ending.wait(self.rng.uniform(0.02, 0.25)):
                self.step()
        except Exception as error:  # pylint: disable=broad-except; told by end()
            self.error = error

    def step(self):
        rng = self.rng
        if rng.random() < 0.04:
            kind = rng.choice(self.FAULTS)
            fault = {"kind": kind, "service": "ExecuteQuery", "count": rng.randrange(1, 5), "after": rng.randrange(12)}
            if kind == "row_cap":
                fault["rows"] = rng.randrange(5, 40)
            self.truth.sim.control("DELETE", "/sim/faults")  # those used up, too, stay in its list
            self.truth.sim.control("POST", "/sim/faults", json=fault)
            self.faults += 1
            return
        action = rng.choice(["change", "change", "change", "change", "add", "delete"])
        entity = rng.choice(DELETABLE if action == "delete" else ENTITIES)
        more = {"level": rng.choice(LEVELS[entity])} if action == "change" and entity in LEVELS else {}
        self.truth.change(action, entity, rng.randrange(1, 6 if action == "change" else 3),
                          seed=rng.randrange(1, 1 << 31), **more)
        self.batches += 1

    def end(self):
        """No more changes and no more faults."""
        self.ending.set()
        self.join()
        self.check()
        self.truth.sim.control("DELETE", "/sim/faults")

    def check(self):
        if self.error:
            raise self.error


def new_rng(*words):
    """Its own stream of choices per purpose, so that one thread's speed does not change another's choices."""
    return random.Random("/".join(map(str, words)))
