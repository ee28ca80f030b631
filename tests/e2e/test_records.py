"""Reading records: the store against the source, lists, filters, cursors, fields, single records."""
import json
import pathlib
import sqlite3
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import reference  # noqa: E402  (after the path is set)
from harness import instant  # noqa: E402
from harness.setup import connect_to, new_organization, source_rows, wait_sync  # noqa: E402

ENTITIES = sorted(reference.KEYS)


@pytest.fixture
def synced(server, sim):
    """(api, connection id) after the first full sync."""
    api = server.api(new_organization(server))
    connection = connect_to(api, sim)
    sync = wait_sync(api, connection)
    assert sync["status"] == "completed", sync
    return api, connection


def path_of(connection, entity):
    return f"/v1/connections/{connection}/{entity.replace('_', '-')}"


def listed(api, connection, entity, **params):
    return list(api.pages(path_of(connection, entity), limit=37, **params))


@pytest.mark.parametrize("entity", ENTITIES)
def test_the_store_equals_the_source(synced, sim, entity):
    api, connection = synced
    have = {r["source_id"]: reference.shown(r) for r in listed(api, connection, entity)}
    want = reference.expected(entity, source_rows(sim, reference.QUERIES[entity]), connection, sim.zone)
    assert want, "the simulator has no rows"
    assert reference.differences(have, want) == []


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_record_has_its_envelope(synced, entity):
    api, connection = synced
    seqs = []
    for record in listed(api, connection, entity):
        assert record["id"] == reference.record_id(connection, entity, record["source_id"])
        assert record["deleted_at"] is None and record["custom_fields"] == {}
        for name in ("created_at", "updated_at", "synced_at"):
            assert record[name].endswith("Z"), record
        assert record["display_name"]
        seqs.append(record["seq"])
    assert seqs == sorted(seqs) and len(set(seqs)) == len(seqs)


def test_a_walk_gives_every_record_once_at_any_page_size(synced):
    api, connection = synced
    path = path_of(connection, "suppliers")
    once = [r["id"] for r in api.pages(path, limit=500)]
    for limit in (1, 3, 500):
        assert [r["id"] for r in api.pages(path, limit=limit)] == once
    assert len(api.get(path)["data"]) == min(100, len(once))


@pytest.mark.parametrize("params, named", [
    ({"limit": 0}, "limit"), ({"limit": 501}, "limit"), ({"limit": "x"}, "limit"), ({"limit": ""}, "limit"),
    ({"cursor": "nonsense"}, "cursor"), ({"colour": "red"}, "colour"), ({"status": "aproved"}, "status"),
    ({"updated_after": "yesterday"}, "updated_after"), ({"deleted": "maybe"}, "deleted"),
    ({"sort": "name"}, "sort"), ({"fields": "number,nope"}, "nope"), ({"include": "everything"}, "include"),
    ({"order_date_after": "24.11.2026"}, "order_date_after"), ({"buyer_after": "x"}, "buyer_after"),
    ({"payment_terms": "NET30"}, "payment_terms"),
])
def test_a_wrong_parameter_is_named(synced, params, named):
    api, connection = synced
    problem = api.fails("GET", path_of(connection, "purchase_orders"), 400, "INVALID_REQUEST", params=params)
    assert named in problem["detail"], problem


def test_a_parameter_twice_is_refused(synced):
    api, connection = synced
    problem = api.fails("GET", path_of(connection, "suppliers") + "?limit=1&limit=2", 400, "INVALID_REQUEST")
    assert "limit" in problem["detail"]


def test_a_cursor_belongs_to_its_list(synced):
    api, connection = synced
    path = path_of(connection, "purchase_orders")
    cursor = api.get(path, params={"limit": 1, "status": "dispatched"})["next_cursor"]
    assert cursor
    assert api.get(path, params={"limit": 5, "status": "dispatched", "cursor": cursor})["data"]
    for other in ({"status": "draft"}, {}, {"status": "dispatched", "sort": "updated_at"},
                  {"status": "dispatched", "deleted": "include"}):
        problem = api.fails("GET", path, 400, "INVALID_REQUEST", params={"cursor": cursor, **other})
        assert "cursor" in problem["detail"]
    api.fails("GET", path_of(connection, "suppliers"), 400, "INVALID_REQUEST", params={"cursor": cursor})
    api.fails("GET", path, 400, "INVALID_REQUEST", params={"status": "dispatched", "cursor": cursor[:-1]})


def test_filters_give_exactly_what_matches(synced):
    api, connection = synced
    orders = listed(api, connection, "purchase_orders")
    dates = sorted(o["order_date"] for o in orders)
    middle = dates[len(dates) // 2]
    some = orders[len(orders) // 2]
    cases = [
        ({"status": some["status"]}, lambda o: o["status"] == some["status"]),
        ({"supplier_id": some["supplier_id"]}, lambda o: o["supplier_id"] == some["supplier_id"]),
        ({"number": some["number"]}, lambda o: o["number"] == some["number"]),
        ({"business_unit": some["business_unit"], "status": some["status"]},
         lambda o: o["business_unit"] == some["business_unit"] and o["status"] == some["status"]),
        ({"order_date_after": middle}, lambda o: o["order_date"] >= middle),
        ({"order_date_before": middle}, lambda o: o["order_date"] < middle),
        ({"updated_after": some["updated_at"]}, lambda o: instant(o["updated_at"]) >= instant(some["updated_at"])),
        ({"updated_before": some["updated_at"]}, lambda o: instant(o["updated_at"]) < instant(some["updated_at"])),
        ({"created_after": some["created_at"]}, lambda o: instant(o["created_at"]) >= instant(some["created_at"])),
        ({"synced_after": some["synced_at"]}, lambda o: instant(o["synced_at"]) >= instant(some["synced_at"])),
        ({"status": "denied", "number": "no such number"}, lambda o: False),
        ({"deleted": "only"}, lambda o: False),
        ({"deleted": "include"}, lambda o: True),
    ]
    for params, matches in cases:
        have = {o["id"] for o in listed(api, connection, "purchase_orders", **params)}
        want = {o["id"] for o in orders if matches(o)}
        assert have == want, params


@pytest.mark.parametrize("sort", ["updated_at", "-updated_at"])
def test_sorting_by_stamp(synced, sort):
    api, connection = synced
    orders = listed(api, connection, "purchase_orders", sort=sort)
    stamps = [o["updated_at"] for o in orders]
    assert stamps == sorted(stamps, reverse=sort.startswith("-"))
    assert len({o["id"] for o in orders}) == len(listed(api, connection, "purchase_orders"))


def test_fields_trims_and_keeps_the_id(synced):
    api, connection = synced
    page = api.get(path_of(connection, "purchase_orders"), params={"fields": "number,total_amount", "limit": 2})
    assert len(page["data"]) == 2
    for record in page["data"]:
        assert {"id", "number", "total_amount"} <= record.keys()
        assert "lines" not in record and "status" not in record


def test_the_untouched_source_rows_are_there_on_request(synced, sim):
    api, connection = synced
    rows = {}
    for row in source_rows(sim, "PST_PURCHASE_ORDERS"):
        row = {k: v for k, v in row.items() if k != "attr:rownumber"}
        rows.setdefault(reference.source_id(row, reference.KEYS["purchase_orders"]), []).append(row)
    response = api.call("GET", path_of(connection, "purchase_orders"), params={"include": "source", "limit": 5})
    page = json.loads(response.text, parse_float=str, parse_int=str)  # every digit as it was sent
    assert len(page["data"]) == 5
    for record in page["data"]:
        assert record["source"] == rows[record["source_id"]]
    assert "source" not in api.get(path_of(connection, "purchase_orders"), params={"limit": 1})["data"][0]


def test_one_record_by_either_id(synced):
    api, connection = synced
    path = path_of(connection, "suppliers")
    record = api.get(path, params={"limit": 1})["data"][0]
    assert api.get(f"{path}/{record['id']}") == record
    assert api.get(f"{path}/source_id:{record['source_id'].replace('|', '%7C')}") == record
    assert api.get(f"{path}/{record['id']}", params={"fields": "name"}).keys() >= {"id", "name"}
    assert "source" in api.get(f"{path}/{record['id']}", params={"include": "source"})


def test_what_is_not_there_is_404(synced):
    api, connection = synced
    order = api.get(path_of(connection, "purchase_orders"), params={"limit": 1})["data"][0]
    suppliers = path_of(connection, "suppliers")
    for path in (f"{suppliers}/{order['id']}", f"{suppliers}/rec_00000000000000000000000000",
                 f"{suppliers}/source_id:none", f"/v1/connections/{connection}/no-such-things",
                 "/v1/connections/conn_00000000000000000000000000/suppliers"):
        api.fails("GET", path, 404, "NOT_FOUND")


def test_a_broken_id_is_not_a_server_error(synced):
    api, connection = synced
    for wrong in ("rec_", "xyz", "%00", "rec_zzzzzzzzzzzzzzzzzzzzzzzzzz", "source_id:%zz"):
        response = api.call("GET", f"{path_of(connection, 'suppliers')}/{wrong}")
        assert response.status_code in (400, 404), (wrong, response.text)


def test_two_walks_agree_while_nothing_changes(synced):
    api, connection = synced
    for entity in ENTITIES:
        assert listed(api, connection, entity) == listed(api, connection, entity)


@pytest.mark.parametrize("params", [{}, {"fields": "number,status"}], ids=["whole", "trimmed"])
def test_a_page_of_large_records_ends_early(synced, server, params):
    """Orders of half a megabyte: the answer stays within a bound, and the walk loses nothing."""
    api, connection = synced
    path = path_of(connection, "purchase_orders")
    want = [r["id"] for r in api.pages(path, limit=500)]
    server.stop()
    with sqlite3.connect(server.data / "penstock.db") as db:
        db.execute("UPDATE rec_purchase_orders SET data = substr(data, 1, length(data) - 1) || ?",
                   (f',"padding":"{"x" * (500 << 10)}"}}',))
    server.start()
    api = server.api(api.token)
    first = api.call("GET", path, params={"limit": 500, **params})
    assert first.status_code == 200 and len(first.content) < 9 << 20, first.text[:300]
    assert (len(first.json()["data"]) < len(want)) == (not params)
    assert [r["id"] for r in api.pages(path, limit=500, **params)] == want
