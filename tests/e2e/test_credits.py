"""Credits: taken with the connection, doubled on premises, kept whatever its status, given back when
it is deleted; short pools, overage, and the ledger, which always adds up."""
import random
import re
import signal
import sqlite3
import threading

import pytest

from harness import Server, slowness, wait_until
from harness.setup import connect_to, new_organization, wait_sync

NOWHERE = "http://127.0.0.1:9"
TIER = 4


def body(name="ERP", deployment=None, **more):
    config = {"base_url": NOWHERE, **({"deployment": deployment} if deployment else {})}
    return {"name": name, "connector": "peoplesoft", "config": config, "schedule": "manual",
            "credentials": {"username": "x", "password": "y"}, **more}


class Acme:
    """An organization with a pool, its key and its operator."""

    def __init__(self, server, name="Acme", pool=None, overage=False):
        self.server, self.name = server, name
        self.api = server.api(new_organization(server, name))
        self.set(pool, overage)

    def set(self, pool=None, overage=None):
        flags = ["--credits", "unlimited" if pool is None else pool]
        flags += [] if overage is None else ["--overage", "yes" if overage else "no"]
        return self.server.cli("organizations", "update", self.name, *flags, json_output=True)

    def create(self, **more):
        return self.api.post("/v1/connections", json=body(**more), status=201)

    def credits(self):
        """What the API says, after it was held against itself."""
        found = self.api.get("/v1/credits", params={"limit": 500})
        held = sum(each["credits"] for each in found["data"])
        entries = list(self.api.pages("/v1/credits/ledger", limit=100))
        assert found["used"] == held == sum(each["amount"] for each in entries), found
        assert found["ledger"] == entries[:20]
        if found["pool"] is None:
            assert found["free"] is None and found["overage"] == 0
        else:
            assert found["free"] == max(0, found["pool"] - held)
            assert found["overage"] == max(0, held - found["pool"])
        running = 0
        for entry in reversed(entries):
            running += entry["amount"]
            assert entry["used"] == running >= 0 and 0 <= entry["overage"] <= max(0, entry["amount"])
        return found

    def used(self):
        return self.credits()["used"]

    def held(self, connection):
        return next(each["credits"] for each in self.credits()["data"] if each["connection_id"] == connection)


@pytest.fixture
def acme(server):
    return Acme(server)


# ---- taking and giving back ----

def test_a_connection_takes_its_tier_and_twice_as_much_on_premises(acme):
    assert acme.used() == 0
    first = acme.create()
    assert acme.used() == TIER
    acme.create(name="cloud", deployment="cloud")
    acme.create(name="cellar", deployment="on_premises")
    found = acme.credits()
    assert [each["credits"] for each in found["data"]] == [TIER, TIER, 2 * TIER]
    assert found["pool"] is None and found["used"] == 4 * TIER
    newest = found["ledger"][0]
    assert (newest["amount"], newest["reason"], newest["overage"]) == (2 * TIER, "created", 0)
    acme.api.delete(f"/v1/connections/{first['id']}", status=204)
    found = acme.credits()
    assert found["used"] == 3 * TIER and len(found["data"]) == 2
    assert (found["ledger"][0]["amount"], found["ledger"][0]["reason"]) == (-TIER, "deleted")
    assert found["ledger"][0]["connection_id"] == first["id"]
    # What is purged later costs and frees nothing.
    acme.api.delete(f"/v1/connections/{first['id']}?purge=true", status=204)
    assert acme.used() == 3 * TIER


def test_each_entry_names_the_request_that_caused_it(acme):
    response = acme.api.call("POST", "/v1/connections", json=body())
    entry = acme.credits()["ledger"][0]
    assert entry["request_id"] == response.headers["X-Request-Id"]
    assert entry["connection_id"] == response.json()["id"]


def test_whatever_becomes_of_it_a_connection_keeps_its_credits(acme, sim):
    connection = connect_to(acme.api, sim, schedule="manual")
    wait_sync(acme.api, connection)
    path = f"/v1/connections/{connection}"

    def status(wanted):
        wait_until(lambda: acme.api.get(path)["status"] == wanted, wanted, 60 * slowness())
        assert acme.held(connection) == TIER

    status("online")
    acme.api.patch(path, json={"enabled": False})
    status("inactive")
    acme.api.patch(path, json={"enabled": True})
    status("online")
    acme.api.patch(path, json={"credentials": {"password": "wrong"}})
    status("authentication_required")
    acme.api.patch(path, json={"credentials": {"password": sim.PASSWORD}})
    status("online")
    assert [entry["reason"] for entry in acme.credits()["ledger"]] == ["created"]


def test_credits_are_kept_through_an_outage(acme, sim):
    connection = connect_to(acme.api, sim, schedule="1s")
    wait_sync(acme.api, connection)
    sim.stop()
    wait_until(lambda: acme.api.get(f"/v1/connections/{connection}")["status"] == "offline", "the outage",
               60 * slowness())
    assert acme.held(connection) == TIER


def test_another_deployment_takes_or_gives_back_the_difference(acme):
    acme.set(pool=2 * TIER)
    connection = acme.create()["id"]
    path = f"/v1/connections/{connection}"
    acme.api.patch(path, json={"config": {"deployment": "on_premises"}})
    assert acme.held(connection) == 2 * TIER
    assert acme.credits()["ledger"][0]["reason"] == "deployment changed"
    acme.api.patch(path, json={"config": {"deployment": "on_premises"}, "name": "same"})
    assert len(acme.credits()["ledger"]) == 2
    acme.api.patch(path, json={"config": {"deployment": None}})  # back to the default
    assert acme.held(connection) == TIER
    # Too few for it: the change is refused whole.
    acme.set(pool=2 * TIER - 1)
    problem = acme.api.fails("PATCH", path, 402, "CREDITS_EXHAUSTED",
                             json={"config": {"deployment": "on_premises"}, "name": "other"})
    assert problem["origin"] == "request" and problem["retryable"] is False
    assert f"{TIER} credits are needed, of {2 * TIER - 1} there are {TIER - 1} left" in problem["detail"]
    after = acme.api.get(path)
    assert after["name"] == "same" and "deployment" not in after["config"]
    assert acme.held(connection) == TIER


# ---- short pools ----

def test_with_a_short_pool_a_connection_is_created_switched_off(acme):
    acme.set(pool=2 * TIER - 1)
    first = acme.create()
    assert first["status"] == "pending" and first["status_reason"] is None and "notice" not in first
    second = acme.create(name="second")
    assert second["status"] == "inactive" and not second["enabled"]
    assert second["status_reason"].startswith("CREDITS_EXHAUSTED: "), second
    assert "credits" in second["notice"]
    path = f"/v1/connections/{second['id']}"
    history = acme.api.get(path + "/history")["data"]
    assert [(each["status"], each["reason"][:17]) for each in history] == [("inactive", "CREDITS_EXHAUSTED")]
    assert acme.held(second["id"]) == 0 and acme.used() == TIER
    assert acme.api.get(path + "/syncs")["data"] == []  # and nothing is queued for it
    assert acme.api.fails("POST", path + "/syncs", 409, "CONNECTION_INACTIVE", json={})
    acme.api.fails("PATCH", path, 402, "CREDITS_EXHAUSTED", json={"enabled": True})
    assert acme.api.get(path)["status"] == "inactive"
    # Settings may change meanwhile and cost nothing.
    acme.api.patch(path, json={"config": {"deployment": "on_premises"}, "name": "renamed"})
    acme.api.patch(path, json={"config": {"deployment": "cloud"}, "credentials": {"password": "z"}})
    assert acme.held(second["id"]) == 0 and acme.api.get(path)["status"] == "inactive"
    # Exactly enough is enough; it is for the user to switch it on.
    acme.set(pool=2 * TIER)
    assert acme.api.get(path)["status"] == "inactive"
    acme.api.patch(path, json={"enabled": True})
    assert acme.held(second["id"]) == TIER and acme.api.get(path)["status"] != "inactive"
    assert acme.credits()["ledger"][0]["reason"] == "switched on"
    # Switched off and on again it takes nothing more, even when the pool is smaller by now.
    acme.set(pool=0)
    acme.api.patch(path, json={"enabled": False})
    acme.api.patch(path, json={"enabled": True})
    assert acme.held(second["id"]) == TIER and acme.credits()["overage"] == 2 * TIER


def test_what_is_freed_may_be_taken(acme):
    acme.set(pool=TIER)
    first, second = acme.create(), acme.create(name="second")
    path = f"/v1/connections/{second['id']}"
    acme.api.fails("PATCH", path, 402, "CREDITS_EXHAUSTED", json={"enabled": True})
    acme.api.delete(f"/v1/connections/{first['id']}", status=204)
    acme.api.patch(path, json={"enabled": True})
    assert acme.used() == TIER


def test_one_that_was_created_switched_off_takes_its_credits_all_the_same(acme):
    acme.set(pool=TIER)
    first = acme.create(enabled=False)
    assert first["status_reason"] == "switched off by the user" and acme.held(first["id"]) == TIER
    second = acme.create(name="second", enabled=False)
    assert second["status_reason"].startswith("CREDITS_EXHAUSTED") and acme.held(second["id"]) == 0
    acme.api.patch(f"/v1/connections/{first['id']}", json={"enabled": True})
    assert acme.used() == TIER


def test_overage_lets_connections_take_more_than_there_is(acme):
    acme.set(pool=TIER + 1, overage=True)
    acme.create()
    second = acme.create(name="second")
    assert second["status"] == "pending"
    found = acme.credits()
    assert found["used"] == 2 * TIER and found["overage"] == TIER - 1 and found["overage_allowed"]
    assert [entry["overage"] for entry in found["ledger"]] == [TIER - 1, 0]
    # Forbidden again, what runs goes on; what is new does not.
    acme.set(pool=TIER + 1, overage=False)
    third = acme.create(name="third")
    assert third["status"] == "inactive" and acme.used() == 2 * TIER
    assert acme.api.get(f"/v1/connections/{second['id']}")["status"] != "inactive"
    acme.set(pool=TIER + 1, overage=True)
    acme.api.patch(f"/v1/connections/{third['id']}", json={"enabled": True})
    assert acme.credits()["overage"] == 2 * TIER - 1


def test_a_smaller_pool_switches_nothing_off(acme):
    connection = acme.create()["id"]
    acme.set(pool=0)
    assert acme.credits()["overage"] == TIER
    assert acme.api.get(f"/v1/connections/{connection}")["status"] != "inactive"


# ---- whose they are ----

def test_organizations_have_pools_of_their_own(server):
    rich, poor = Acme(server, "Rich", pool=100), Acme(server, "Poor", pool=0)
    rich.create()
    assert poor.create()["status"] == "inactive"
    assert (rich.used(), poor.used()) == (TIER, 0)
    listed = {o["name"]: o for o in server.cli("organizations", json_output=True)["data"]}
    assert (listed["Rich"]["credits"], listed["Rich"]["credits_used"], listed["Rich"]["overage"]) == (100, TIER, False)
    assert (listed["Poor"]["credits"], listed["Poor"]["credits_used"]) == (0, 0)
    assert f"penstock_credits_used {TIER}" in rich.api.call("GET", "/metrics").text


def test_pools_are_the_operators_alone(acme, server):
    organization = server.cli("organizations", json_output=True)["data"][0]["id"]
    path = f"/v1/organizations/{organization}"
    acme.api.fails("PATCH", path, 403, "PERMISSION_DENIED", json={"credits": 1000})
    viewer = server.api(server.cli("keys", "create", "--role", "viewer", "--name", "v", json_output=True)["key"])
    assert viewer.get("/v1/credits")["pool"] is None
    token = acme.api.post(f"/v1/connections/{acme.create()['id']}/tokens", json={}, status=201)["token"]
    server.api(token).fails("GET", "/v1/credits", 403, "PERMISSION_DENIED")


def test_changes_of_a_pool_are_in_the_audit_log(acme):
    acme.set(pool=12, overage=True)
    rows = [row for row in acme.api.get("/v1/audit")["data"] if row["action"] == "organization.update"]
    assert rows[0]["actor"] == "operator" and rows[0]["detail"] == {"credits": 12, "overage": True}
    assert rows[0]["object"].startswith("org_")


# ---- the command line ----

def test_the_command_line_shows_and_sets_credits(server):
    made = server.cli("organizations", "create", "Acme", "--credits", 6, "--overage", "no", json_output=True)
    assert made["credits"] == 6 and made["overage"] is False and made["credits_used"] == 0
    api = server.api(server.cli("keys", "create", "--name", "k", json_output=True)["key"])
    for name in ("first", "second"):
        api.post("/v1/connections", json=body(name), status=201)
    text = server.cli("credits").stdout
    assert [word in text for word in ("first", "second", "inactive", "Pool", "Free")] == [True] * 5, text
    ledger = server.cli("credits", "--ledger").stdout
    assert "created" in ledger and ledger.count("conn_") == 1
    assert server.cli("credits", "--organization", "Acme", json_output=True)["free"] == 2
    assert len(server.cli("credits", "--ledger", json_output=True)["data"]) == 1
    for word in ("Acme", made["id"]):
        assert "unlimited" in server.cli("organizations", "update", word, "--credits", "unlimited").stdout
    assert server.cli("organizations", json_output=True)["data"][0]["credits"] is None
    assert re.search("^Pool: +unlimited$.*^Free: +unlimited$", server.cli("credits").stdout, re.M | re.S)
    # --overage alone leaves the pool as it is, and the other way round.
    server.cli("organizations", "update", "Acme", "--credits", 9)
    assert server.cli("organizations", "update", "Acme", "--overage", "yes", json_output=True)["credits"] == 9
    assert server.cli("organizations", "update", "Acme", "--credits", 8, json_output=True)["overage"] is True


def test_connect_says_what_is_to_be_done_when_there_are_too_few(acme, server, sim):
    words = ["connect", "peoplesoft", "--name", "acme", "--base-url", sim.url, "--username", sim.USER,
             "--password-file", "-"]
    acme.set(pool=0)
    done = server.cli(*words, stdin=sim.PASSWORD + "\n", check=False)
    assert done.returncode == 69 and "CREDITS_EXHAUSTED" in done.stderr and "--enabled yes" in done.stderr
    connection = done.stdout.strip()
    again = server.cli("connections", "update", connection, "--enabled", "yes", check=False)
    assert again.returncode == 69 and "credits are needed" in again.stderr
    acme.set(pool=4)
    server.cli("connections", "update", connection, "--enabled", "yes")
    assert wait_sync(acme.api, connection)["status"] == "completed"


@pytest.mark.parametrize("flags, status, words", [
    (["--credits", "many"], 64, "unlimited"), (["--credits", "-1"], 64, "--credits"), ([], 64, "nothing to change"),
    (["--credits", 1000000001], 64, "credits"), (["--overage", "perhaps"], 64, "overage"),
])
def test_what_the_command_line_cannot_set_it_explains(acme, server, flags, status, words):
    done = server.cli("organizations", "update", "Acme", *flags, check=False)
    assert done.returncode == status and words in done.stderr, done.stderr
    assert server.cli("organizations", "update", "Nobody", "--credits", 1, check=False).returncode == 66


# ---- any sequence ----

class Reference:
    """The rules, told another way: what each connection holds."""

    def __init__(self):
        self.pool, self.overage, self.of = None, False, {}

    def fits(self, more):
        return self.pool is None or self.overage or more <= 0 or sum(
            c["held"] for c in self.of.values()) + more <= self.pool


@pytest.mark.parametrize("seed", range(3))
def test_any_sequence_of_changes_adds_up(programs, place, seed):
    draw = random.Random(seed)
    server = programs(Server(place))
    acme, ref = Acme(server, pool=20), Reference()
    ref.pool = 20
    due = {"cloud": TIER, "on_premises": 2 * TIER}
    for step in range(120):
        what = draw.choice(["create"] * 4 + ["delete"] * 2 + ["switch"] * 4 + ["move"] * 3 + ["pool", "restart"])
        names = sorted(ref.of)
        if what == "create" and len(names) < 12:
            deployment, enabled = draw.choice(sorted(due)), draw.random() < .8
            made = acme.create(name=f"c{step}", deployment=deployment, enabled=enabled)
            fits = ref.fits(due[deployment])
            assert (made["status"] == "inactive") == (not fits or not enabled), (step, made)
            ref.of[made["id"]] = {"held": due[deployment] if fits else 0, "deployment": deployment,
                                  "on": fits and enabled}
        elif what == "delete" and names:
            gone = draw.choice(names)
            acme.api.delete(f"/v1/connections/{gone}" + draw.choice(["", "?purge=true"]), status=204)
            del ref.of[gone]
        elif what in ("switch", "move") and names:
            name = draw.choice(names)
            c, path = ref.of[name], f"/v1/connections/{name}"
            change = {}
            if what == "switch" or draw.random() < .2:
                change["enabled"] = draw.random() < .6
            if what == "move":
                change["config"] = {"deployment": draw.choice(sorted(due))}
            deployment = change.get("config", c)["deployment"]
            switched_on = change.get("enabled") and not c["on"]
            wanted = due[deployment] if switched_on or c["held"] else 0
            fits = ref.fits(wanted - c["held"])
            response = acme.api.call("PATCH", path, json=change)
            assert response.status_code == (200 if fits else 402), (step, change, response.text)
            if fits:
                c.update(held=wanted, deployment=deployment, on=change.get("enabled", c["on"]))
        elif what == "pool":
            ref.pool, ref.overage = draw.choice([None, 0, 8, 20, 30]), draw.random() < .3
            acme.set(ref.pool, ref.overage)
        elif what == "restart" and draw.random() < .3:
            server.stop()
            server.start()
            acme.api = server.api(acme.api.token)
        found = acme.credits()
        assert {each["connection_id"]: each["credits"] for each in found["data"]} == \
            {name: c["held"] for name, c in ref.of.items()}, step
    server.cli("doctor")


def test_killed_at_any_moment_the_ledger_adds_up(programs, place):
    """kill -9 in the middle of creating and deleting: each is there whole, with its credits, or not at all."""
    server = programs(Server(place))
    acme = Acme(server, pool=1000)
    for round_ in range(4):
        threads = [threading.Thread(target=create_and_delete, args=(acme, f"{round_}-{i}")) for i in range(3)]
        before = len(acme.credits()["ledger"])
        for thread in threads:
            thread.start()
        wait_until(lambda b=before: len(acme.api.get("/v1/credits/ledger", params={"limit": 500})["data"]) > b + 5,
                   "some work", 20 * slowness())
        server.signal(signal.SIGKILL)
        server.child.wait()
        server.child = None
        for thread in threads:
            thread.join()
        server.start()
        acme.api = server.api(acme.api.token)
        acme.credits()
    server.stop()
    with sqlite3.connect(f"file:{server.data / 'penstock.db'}?mode=ro", uri=True) as store:
        used, = store.execute("SELECT credits_used FROM organization").fetchone()
        assert (used,) == store.execute("SELECT sum(amount) FROM credit_entry").fetchone()
        assert (used,) == store.execute("SELECT sum(credits) FROM connection").fetchone()
        assert (used,) == store.execute("SELECT 4 * count(*) FROM connection WHERE deleted_at IS NULL").fetchone()
    server.start()


def create_and_delete(acme, name):
    """Until the server is gone."""
    api = acme.server.api(acme.api.token)
    try:
        for i in range(100000):
            made = api.post("/v1/connections", json=body(f"{name}-{i}"), status=201)
            if i % 2:
                api.delete(f"/v1/connections/{made['id']}", status=204)
    except Exception:  # noqa: BLE001  (whatever a killed server does to a request)
        pass
