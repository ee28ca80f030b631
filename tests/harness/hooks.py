"""Steps that tests of webhooks begin with, and the check of events against their schemas."""
import functools
import json
import pathlib
import sqlite3

import jsonschema

from .programs import slowness
from .setup import start_sync, wait_sync
from .wait import wait_until


def base_path(connection=None):
    return f"/v1/connections/{connection}/webhooks" if connection else "/v1/webhooks"


def add_hook(api, hooks, path, connection=None, **more):
    """An endpoint at a path of the receiver, whose signatures the receiver checks from now on. Returns it as it
    was created, its secret included."""
    made = api.post(base_path(connection), json={"url": hooks.url(path), **more}, status=201)
    hooks.trust(path, *(made["public_keys"] if made["signing"] == "ed25519" else [made["secret"]]))
    return made


def hook_path(hook, *more):
    return "/".join(["/v1/webhooks", hook["id"], *more])


def deliveries(api, hook, **filters):
    """All deliveries of an endpoint, newest first."""
    return list(api.pages(hook_path(hook, "deliveries"), limit=500, **filters))


def delivery_of(api, hook, event_id):
    return next((d for d in deliveries(api, hook) if d["event_id"] == event_id), None)


def attempts_of(api, hook, delivery):
    return api.get(hook_path(hook, "deliveries", delivery["id"]))["attempts"]


def wait_attempts(api, hook, count=1, status=None, seconds=20):
    """The oldest delivery that is no sample, when so many attempts of it are recorded."""
    def recorded():
        found = [d for d in deliveries(api, hook) if not d["sample"]]
        if not found or found[-1]["attempts_made"] < count or (status and found[-1]["status"] != status):
            return None
        return found[-1]
    return wait_until(recorded, f"{count} attempts of a delivery", seconds * slowness())


def wait_statuses(api, hook, status, count, seconds=20):
    """The deliveries with a status when there are at least so many."""
    def enough():
        found = deliveries(api, hook, status=status)
        return found if len(found) >= count else None
    return wait_until(enough, f"{count} deliveries that are {status}", seconds * slowness())


def resend(api, hook, delivery):
    return api.post(hook_path(hook, "deliveries", delivery["id"], "resend"), status=202)


def small_sync(api, connection, entity="suppliers"):
    """A run of one entity, as a way to have an event; returns it when it has ended."""
    sync = wait_until(lambda: start_sync(api, connection, entities=[entity], busy_is_fine=True), "a sync to be queued",
                      30 * slowness(), every=0.05)
    return wait_sync(api, connection, sync)


def events(api, **filters):
    """All events, newest first."""
    return list(api.pages("/v1/events", limit=500, **filters))


# ---- schemas ----


def type_of(types, name):
    """The entry of GET /v1/event-types that describes events of that name."""
    for entry in types:
        if entry["type"] == name or (entry["type"] == "flow.*" and name.startswith("flow.")):
            return entry
    raise AssertionError(f"there is no event type '{name}'")


def closed(schema):
    """The schema with no member allowed that it does not name. Receivers have to take new ones; here one that
    nobody described is a mistake."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema["properties"]:
        made["additionalProperties"] = False
    return made


@functools.lru_cache(maxsize=64)
def validator(schema_text):
    schema = json.loads(schema_text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(closed(schema), format_checker=jsonschema.FormatChecker())


def check_event(types, event):
    """The body of an event against the schema of its type."""
    entry = type_of(types, event["type"])
    problems = list(validator(json.dumps(entry["schema"])).iter_errors(event))
    assert not problems, f"{event['type']} {event['id']}: {problems[0].message} at {problems[0].json_path}"


def stored_events(store):
    """The bodies of all events in a store's file; none when it is damaged, or older than events."""
    try:
        db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        try:
            return [json.loads(body) for (body,) in db.execute("SELECT body FROM event")]
        finally:
            db.close()
    except sqlite3.DatabaseError:
        return []


def check_stores(directory, types):
    """Every event in every store below `directory`; types() gives the list, asked for when there is one.
    Returns how many there were."""
    count = 0
    for store in sorted(pathlib.Path(directory).rglob("penstock.db")):
        for event in stored_events(store):
            check_event(types(), event)
            count += 1
    return count
