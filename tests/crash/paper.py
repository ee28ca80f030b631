"""What was asked of the API by way of settings, and what was answered: after a crash every acknowledged write
is there, and one that got no answer is there wholly or not at all.

A thing (a connection that reads nothing, an API key, the schedule of the connection that does read) has a
state that each write replaces. One thread writes a thing, so that at most one write of it is without an answer.
"""
import itertools
import threading

import requests

from harness.setup import connection_body

GONE = "gone"
UNKNOWN = object()
SCHEDULES = ({"interval": "1s"}, {"interval": "2s"}, {"interval": "5s"}, {"interval": "7d"},
             {"cron": "* * * * *", "time_zone": "Europe/Berlin"})


class Wrong(AssertionError):
    """The API does not show what it acknowledged, or shows half of something."""


class Thing:
    """state: what was acknowledged last; asked: what was asked for and not answered (UNKNOWN: nothing)."""

    def __init__(self, state, secret=None):
        self.state, self.asked, self.secret = state, UNKNOWN, secret

    def settle(self, what, found):
        if found != self.state and (self.asked is UNKNOWN or found != self.asked):
            raise Wrong(f"{what} is {found}, was acknowledged as {self.state}"
                        + ("" if self.asked is UNKNOWN else f" and asked to become {self.asked}"))
        if self.asked is not UNKNOWN:
            self.state, self.asked = found, UNKNOWN


class Paper:
    """The model, and the operations on the API that keep it."""

    MOST = 8

    def __init__(self, sim, connection, schedule):
        self.sim, self.connection = sim, connection
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        self.connections, self.keys = {}, {}
        self.creating = {"connections": set(), "keys": set()}
        self.schedule = Thing(schedule)
        self.syncs, self.cancels = [], []
        self.acknowledged = self.adopted = self.absent = 0
        self.requests = []

    # ---- writing ----

    def write(self, api, rng):
        """One write, chosen at random; an exception of requests means that it got no answer."""
        kinds = [self.create_connection, self.patch_connection, self.patch_connection, self.delete_connection,
                 self.create_key, self.revoke_key, self.set_schedule, self.start_sync, self.start_sync, self.cancel_sync]
        rng.choice(kinds)(api, rng)

    def call(self, api, method, path, statuses, json=None, thing=None, to=UNKNOWN):
        """A call whose answer has one of `statuses`; anything below 300 acknowledges that thing is `to`."""
        if thing:
            thing.asked = to
        response = api.call(method, path, **({"json": json} if json is not None else {}))
        if response.status_code == 503:
            raise requests.ConnectionError("the server is stopping")
        if response.status_code not in statuses:
            raise Wrong(f"{method} {path}: {response.status_code} {response.text[:300]}")
        if thing:
            thing.state, thing.asked = (to if response.status_code < 300 else thing.state), UNKNOWN
        if response.status_code < 300:
            self.acknowledged += 1
            self.requests.append(response.headers["X-Request-Id"])
        return response

    def pick(self, things, rng):
        """A thing that is there and that no other thread writes at the moment."""
        with self.lock:
            free = [key for key, thing in things.items() if thing.state != GONE and thing.asked is UNKNOWN]
            if not free:
                return None, None
            key = rng.choice(free)
            things[key].asked = things[key].state
            return key, things[key]

    def number(self):
        with self.lock:
            return next(self.numbers)

    @staticmethod
    def settings(n):
        """Every member says n, so that half a write shows."""
        return {"name": f"paper {n}", "metadata": {"n": str(n)}, "schedule": {"interval": f"{61 + 60 * (n % 10000)}s"},
                "credentials": {"username": f"USER{n}", "password": f"word-{n}"}}

    def create_connection(self, api, rng):
        if sum(thing.state != GONE for thing in self.connections.values()) >= self.MOST:
            return
        n = self.number()
        self.creating["connections"].add(n)
        body = connection_body(self.sim, enabled=False, **self.settings(n))
        made = self.call(api, "POST", "/v1/connections", (201,), body).json()
        self.connections[made["id"]] = Thing(n)
        self.creating["connections"].discard(n)

    def patch_connection(self, api, rng):
        key, thing = self.pick(self.connections, rng)
        if key:
            n = self.number()
            self.call(api, "PATCH", f"/v1/connections/{key}", (200,), self.settings(n), thing, n)

    def delete_connection(self, api, rng):
        if rng.random() < 0.5:
            return
        key, thing = self.pick(self.connections, rng)
        if key:
            self.call(api, "DELETE", f"/v1/connections/{key}" + rng.choice(["", "?purge=true"]), (204,), None, thing, GONE)

    def create_key(self, api, rng):
        if sum(thing.state != GONE for thing in self.keys.values()) >= self.MOST:
            return
        n = self.number()
        self.creating["keys"].add(n)
        made = self.call(api, "POST", "/v1/keys", (201,), {"name": f"paper {n}", "role": "viewer"}).json()
        self.keys[made["id"]] = Thing(n, made["key"])
        self.creating["keys"].discard(n)

    def revoke_key(self, api, rng):
        key, thing = self.pick(self.keys, rng)
        if key:
            self.call(api, "DELETE", f"/v1/keys/{key}", (204,), None, thing, GONE)

    def set_schedule(self, api, rng):
        to = rng.choice(SCHEDULES)
        with self.lock:
            if self.schedule.asked is not UNKNOWN:
                return
            self.schedule.asked = to
        self.call(api, "PATCH", f"/v1/connections/{self.connection}", (200,), {"schedule": to}, self.schedule, to)

    def start_sync(self, api, rng):
        body = {"mode": rng.choice(["incremental", "incremental", "full"])}
        if rng.random() < 0.4:
            body["entities"] = rng.sample(["suppliers", "items", "purchase_orders", "work_orders"], rng.randrange(1, 4))
        response = self.call(api, "POST", f"/v1/connections/{self.connection}/syncs", (202, 409), body)
        if response.status_code == 202:
            self.syncs.append(response.json()["id"])

    def cancel_sync(self, api, rng):
        if not self.syncs or rng.random() < 0.7:
            return
        sync = self.syncs[-1]
        answer = self.call(api, "POST", f"/v1/connections/{self.connection}/syncs/{sync}/cancel", (200,)).json()
        self.cancels.append((sync, answer["status"]))

    # ---- comparing ----

    def settle(self, api, rng):
        """After a restart: what the API shows against what it has acknowledged."""
        self.settle_list(api, "connections", self.connections, self.read_connection)
        self.settle_list(api, "keys", self.keys, self.read_key)
        shown = api.get(f"/v1/connections/{self.connection}")["schedule"]
        self.schedule.settle("the schedule", shown)
        self.try_key(api, rng)
        for sync in self.syncs[-3:]:
            api.get(f"/v1/connections/{self.connection}/syncs/{sync}")
        for sync, status in self.cancels:
            found = api.get(f"/v1/connections/{self.connection}/syncs/{sync}")["status"]
            if status != "running" and found != status or found == "queued":
                raise Wrong(f"{sync} was {status} when it was cancelled, and is {found}")
        self.cancels = []

    def read_connection(self, row):
        n = int(row["metadata"].get("n", "-1"))
        if {name: row[name] for name in ("name", "metadata", "schedule")} != \
           {name: value for name, value in self.settings(n).items() if name != "credentials"}:
            raise Wrong(f"half a write: {row}")
        return n

    @staticmethod
    def read_key(row):
        return GONE if row["revoked_at"] else int(row["name"].split()[1])

    def settle_list(self, api, kind, things, read):
        found = {row["id"]: read(row) for row in api.pages(f"/v1/{kind}", limit=500)
                 if row["id"] != self.connection and row["name"].startswith("paper ")}
        for key, thing in things.items():
            thing.settle(f"{kind} {key}", found.get(key, GONE))
        for key in found.keys() - things.keys():
            if found[key] not in self.creating[kind]:
                raise Wrong(f"{kind} {key} was never asked for")
            things[key] = Thing(found[key])
            self.creating[kind].discard(found[key])
            self.adopted += 1
        self.absent += len(self.creating[kind])
        self.creating[kind].clear()

    def try_key(self, api, rng):
        """One key that works and one that was revoked."""
        for is_alive in (True, False):
            known = [t for t in self.keys.values() if t.secret and (t.state != GONE) == is_alive]
            if known:
                status = api.with_token(rng.choice(known).secret).call("GET", "/v1/connections?limit=1").status_code
                if (status == 200) != is_alive:
                    raise Wrong(f"a key that was {'created' if is_alive else 'revoked'} is answered with {status}")

    def check_audit(self, db):
        """Every acknowledged write of the life that has just ended is in the audit log."""
        noted = {row[0] for row in db.execute("SELECT request_id FROM audit")}
        lost = set(self.requests) - noted
        if lost:
            raise Wrong(f"acknowledged, and not in the audit log: {sorted(lost)[:3]}")
        self.requests = []


class Writer(threading.Thread):
    """Writes until the server is gone."""

    def __init__(self, paper, server, key, rng):
        super().__init__(daemon=True)
        self.paper, self.rng, self.api = paper, rng, server.api(key)
        self.ending = threading.Event()
        self.error = None

    def run(self):
        try:
            while not self.ending.wait(self.rng.uniform(0, 0.06)):
                self.paper.write(self.api, self.rng)
        except requests.RequestException:
            pass  # the kill: what was asked stays without an answer
        except Exception as error:  # pylint: disable=broad-except; told by the round
            self.error = error
