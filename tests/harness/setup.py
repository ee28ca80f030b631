"""Steps that many tests begin with: an organization with a key, a connection, a sync."""
from .api import Problem
from .programs import slowness
from .wait import wait_until

ENDED = ("completed", "failed", "cancelled")


def new_organization(server, name="Test", role="admin"):
    """An organization and an API key of it, made by the operator; returns the key."""
    server.cli("organizations", "create", name)
    made = server.cli("keys", "create", "--organization", name, "--name", "test", "--role", role, json_output=True)
    return made["key"]


def connection_body(sim, **more):
    body = {"name": "ERP", "connector": "peoplesoft",
            "config": {"base_url": sim.url, "time_zone": sim.zone},
            "credentials": {"username": sim.USER, "password": sim.PASSWORD}, "history_days": 0}
    body.update(more)
    return body


def connect_to(api, sim, **more):
    """A connection to the simulator; its first full sync is queued by creating it."""
    return api.post("/v1/connections", json=connection_body(sim, **more), status=201)["id"]


def start_sync(api, connection, mode="incremental", entities=None, busy_is_fine=False):
    """Queue a sync by hand; its id, or None when one is running and that is fine."""
    body = {"mode": mode, **({"entities": list(entities)} if entities else {})}
    response = api.call("POST", f"/v1/connections/{connection}/syncs", json=body)
    if response.status_code == 409 and busy_is_fine:
        return None
    if response.status_code != 202:
        raise Problem(response)
    return response.json()["id"]


def wait_sync(api, connection, sync=None, seconds=30):
    """The sync (default: the newest) when it has ended, whatever way."""
    def ended():
        path = f"/v1/connections/{connection}/syncs"
        found = api.get(f"{path}/{sync}") if sync else api.get(path, params={"limit": 1})["data"][0]
        return found if found["status"] in ENDED else None
    return wait_until(ended, "the sync to end", seconds * slowness(), every=0.05)


def synced(api, connection, mode="incremental", entities=None, seconds=30):
    """Run a sync to its end and return it."""
    return wait_sync(api, connection, start_sync(api, connection, mode, entities), seconds)


def source_rows(sim, query):
    """The simulator's truth: every row of a query, as it would send them."""
    return sim.dump(query)
