"""The simulated PeopleSoft gateway over HTTP: each service, each wrong request, each fault, the
control port, the state file."""
import concurrent.futures
import json
import re
import socket
import subprocess
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

import pytest
import requests

from harness import Simulator
from harness.programs import slowness

NODE = "/PSIGW/RESTListeningConnector/PSFT_EP/"
PROMPTS = {
    "PST_PURCHASE_ORDERS": ["FROMDTTM", "TODTTM", "LAST_BUSINESS_UNIT", "LAST_PO_ID", "LAST_LINE_NBR",
                            "LAST_SCHED_NBR"],
    "PST_WORK_ORDERS": ["FROMDTTM", "TODTTM", "LAST_BUSINESS_UNIT", "LAST_WO_ID", "LAST_WO_TASK_ID"],
    "PST_RECEIPTS": ["FROMDTTM", "TODTTM", "LAST_BUSINESS_UNIT", "LAST_RECEIVER_ID", "LAST_RECV_LN_NBR",
                     "LAST_RECV_SHIP_SEQ_NBR"],
    "PST_SUPPLIERS": ["FROMDTTM", "TODTTM", "ASOFDATE", "LAST_SETID", "LAST_VENDOR_ID"],
    "PST_ITEMS": ["FROMDTTM", "TODTTM", "ASOFDATE", "LAST_SETID", "LAST_INV_ITEM_ID"],
    "PST_BUSINESS_UNITS": ["LAST_BUSINESS_UNIT"],
    "PST_CLOCK": [],
}
KEYS = {
    "PST_PURCHASE_ORDERS": ["A.BUSINESS_UNIT", "A.PO_ID", "B.LINE_NBR", "C.SCHED_NBR"],
    "PST_WORK_ORDERS": ["A.BUSINESS_UNIT", "A.WO_ID", "B.WO_TASK_ID"],
    "PST_RECEIPTS": ["A.BUSINESS_UNIT", "A.RECEIVER_ID", "B.RECV_LN_NBR", "B.RECV_SHIP_SEQ_NBR"],
    "PST_SUPPLIERS": ["A.SETID", "A.VENDOR_ID"],
    "PST_ITEMS": ["A.SETID", "A.INV_ITEM_ID"],
    "PST_BUSINESS_UNITS": ["A.BUSINESS_UNIT"],
}
PASSWORD_REFUSED = "User password failed. (158,45)"


class Client:
    """What a PeopleSoft client does, by hand."""

    def __init__(self, sim):
        self.sim = sim
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = (sim.USER, sim.PASSWORD)

    def get(self, path, **more):
        more.setdefault("timeout", 30 * slowness())
        return self.session.get(self.sim.url + path, allow_redirects=False, **more)

    def ask(self, query, maxrows=0, filterfields=None, raw=None, **prompts):
        """ExecuteQuery with the given prompts, the others empty; the response."""
        names = PROMPTS[query]
        values = ",".join(urllib.parse.quote(str(prompts.get(name, ""))) for name in names)
        path = f"{NODE}ExecuteQuery.v1/PUBLIC/{query}/JSON/NONFILE?isconnectedquery=N&maxrows={maxrows}"
        if names:
            path += f"&prompt_uniquepromptname={','.join(names)}&prompt_fieldvalue={values}"
        if filterfields:
            path += f"&filterfields={filterfields}"
        return self.get(path + "&json_resp=true" + (raw or ""))

    def rows(self, query, **how):
        response = self.ask(query, **how)
        assert response.status_code == 200, response.text[:500]
        assert response.headers["Content-Type"] == "application/json"
        body = json.loads(response.text, parse_float=str, parse_int=str)
        assert body["status"] == "success"
        answer = body["data"]["query"]
        assert answer["queryname="] == query
        assert int(answer["numrows"]) == len(answer["rows"])
        assert [int(row.pop("attr:rownumber")) for row in answer["rows"]] == list(range(1, len(answer["rows"]) + 1))
        return answer["rows"]

    def walk(self, query, page):
        """Every row, by keyset pages."""
        found, after = [], {}
        while True:
            rows = self.rows(query, maxrows=page, **after)
            if not rows:
                return found
            found += rows
            after = {"LAST_" + column.split(".")[1]: rows[-1][column] for column in KEYS[query]}


@pytest.fixture
def ps(sim):
    return Client(sim)


def fault(sim, kind, **more):
    return sim.control("POST", "/sim/faults", json={"kind": kind, **more})["id"]


def stats(sim):
    return sim.control("GET", "/sim/stats")


# ---- the services ----

@pytest.mark.parametrize("query", sorted(KEYS))
def test_pages_give_exactly_what_the_dump_says(sim, ps, query):
    truth = sim.dump(query)
    assert len(truth) == sim.count(query) > 0
    assert ps.walk(query, page=73) == truth
    assert ps.rows(query) == truth


def test_the_clock_query_shows_the_clock_in_the_database_zone(programs, place):
    sim = programs(Simulator(place / "sim", zone="America/New_York", now="2026-11-01T06:30:00Z", freeze=True))
    assert Client(sim).rows("PST_CLOCK") == [{"CURRENT_DTTM": "2026-11-01-01.30.00.000000"}]
    clock = sim.control("POST", "/sim/clock", json={"advance": "1h"})
    assert clock == {"now": "2026-11-01T07:30:00Z", "local": "2026-11-01-02.30.00.000000",
                     "zone": "America/New_York", "frozen": True}
    assert Client(sim).rows("PST_CLOCK") == [{"CURRENT_DTTM": "2026-11-01-02.30.00.000000"}]


def test_list_query_finds_by_prefix_in_xml_and_json(ps):
    path = NODE + "ListQuery.v1/public/listquery?isconnectedquery=N&search="
    response = ps.get(path + "PST_")
    assert response.headers["Content-Type"].startswith("text/xml")
    root = ElementTree.fromstring(response.content)
    names = [e.text for e in root.iter() if e.tag.endswith("}QueryName")]
    assert sorted(names) == sorted(PROMPTS)
    listed = ps.get(path + "PST_C&json_resp=true").json()["QAS_LISTQUERY_RESP_MSG"]["QAS_LISTQUERY_RESP"]
    assert [one["PTQASWRK"]["QueryName"] for one in listed] == ["PST_CLOCK"]
    assert len(ElementTree.fromstring(ps.get(path + "&maxrows=2").content)) == 2
    assert len(ElementTree.fromstring(ps.get(path + "NOTHING").content)) == 0
    assert ps.get(path + "NOTHING&json_resp=true").json() == {"QAS_LISTQUERY_RESP_MSG": {}}


@pytest.mark.parametrize("query", sorted(PROMPTS))
def test_fields_and_prompts_describe_the_query(ps, query):
    path = f"{NODE}QueryFields.v1/public/{query}?isconnectedquery=N"
    fields = [one["PTQASWRK"] for one in
              ps.get(path + "&json_resp=true").json()["QAS_LISTQUERYFIELDS_RESP_MSG"]["QAS_LISTQUERYFIELDS_RESP"]]
    assert [f["UniqueFieldName"] for f in fields] == list(ps.rows(query, maxrows=1)[0])
    assert [f["ColumnNumber"] for f in fields] == list(range(1, len(fields) + 1))
    root = ElementTree.fromstring(ps.get(path).content)
    assert [e.text for e in root.iter() if e.tag.endswith("}UniqueFieldName")] == [f["UniqueFieldName"] for f in fields]
    assert [e.text for e in root.iter() if e.tag.endswith("}FieldType")] == [f["FieldType"] for f in fields]
    root = ElementTree.fromstring(ps.get(f"{NODE}QueryPrompts.v1/public/{query}?isconnectedquery=N").content)
    assert [e.text for e in root.iter() if e.tag.endswith("}UniquePromptName")] == PROMPTS[query]


def test_filterfields_trims_the_columns(ps):
    rows = ps.rows("PST_PURCHASE_ORDERS", maxrows=3, filterfields="A.PO_ID,C.QTY_PO")
    assert [list(row) for row in rows] == [["A.PO_ID", "C.QTY_PO"]] * 3


def test_maxrows_is_a_cap_and_zero_is_none(sim, ps):
    total = sim.count("PST_SUPPLIERS")
    assert len(ps.rows("PST_SUPPLIERS", maxrows=total - 1)) == total - 1
    assert len(ps.rows("PST_SUPPLIERS", maxrows=total)) == total
    assert len(ps.rows("PST_SUPPLIERS", maxrows=total + 1)) == total
    assert len(ps.rows("PST_SUPPLIERS", maxrows=0)) == total


def test_a_window_gives_what_changed_in_it(programs, place):
    sim = programs(Simulator(place / "sim", zone="Europe/Berlin", now="2026-11-24T10:00:00Z", freeze=True,
                             epoch="2026-11-24T00:00:00Z"))
    client = Client(sim)
    before = client.rows("PST_CLOCK")[0]["CURRENT_DTTM"]
    assert before == "2026-11-24-11.00.00.000000"
    assert client.rows("PST_PURCHASE_ORDERS", FROMDTTM=before) == []
    keys = sim.change("change", "purchase_orders", count=3)["keys"]
    rows = client.rows("PST_PURCHASE_ORDERS", FROMDTTM=before)
    assert sorted({(row["A.BUSINESS_UNIT"], row["A.PO_ID"]) for row in rows}) == sorted(map(tuple, keys))
    assert {row["A.LAST_DTTM_UPDATE"] for row in rows} == {before}
    assert client.rows("PST_PURCHASE_ORDERS", FROMDTTM="2026-11-24-10.00.00.000000", TODTTM=before) == []
    sim.change("change", "suppliers", count=2)
    assert len(client.rows("PST_SUPPLIERS", FROMDTTM="2026-11-24-23.59.59.000000")) == 2
    assert client.rows("PST_SUPPLIERS", FROMDTTM="2026-11-25-00.00.00.000000") == []


def test_effective_dated_rows_follow_the_date_asked_for(sim, ps):
    dates = [{row["C.EFFDT"] for row in ps.rows("PST_SUPPLIERS", ASOFDATE=day)} for day in ("1980-01-01", "2099-01-01")]
    assert dates[0] == {""}
    today = ps.rows("PST_CLOCK")[0]["CURRENT_DTTM"][:10]
    now = ps.rows("PST_SUPPLIERS")
    assert now == ps.rows("PST_SUPPLIERS", ASOFDATE=today)
    assert all(row["C.EFFDT"] <= today for row in now)


@pytest.mark.parametrize("mode, text", [("short", "Partial"), ("long", "Partially Received")])
def test_translate_values_come_as_texts(programs, place, mode, text):
    sim = programs(Simulator(place / "sim", translate=mode))
    assert text in {row["A.RECV_STATUS"] for row in Client(sim).rows("PST_PURCHASE_ORDERS")}


def test_one_seed_gives_one_set_of_data(programs, place):
    epoch = "2026-11-24T00:00:00Z"
    sims = [programs(Simulator(place / f"sim{i}", seed=seed, epoch=epoch)) for i, seed in enumerate((5, 5, 6))]
    first, same, other = (one.dump("PST_PURCHASE_ORDERS") for one in sims)
    assert first == same != other


# ---- wrong requests ----

@pytest.mark.parametrize("path, status", [
    ("ExecuteQuery.v1/PUBLIC/PST_NOTHING/JSON/NONFILE?isconnectedquery=N&maxrows=1", 500),
    ("ExecuteQuery.v1/PRIVATE/PST_CLOCK/JSON/NONFILE?isconnectedquery=N&maxrows=1", 500),
    ("ExecuteQuery.v1/PUBLIC/pst_clock/JSON/NONFILE?isconnectedquery=N&maxrows=1", 500),
    ("ExecuteQuery.v1/PUBLIC/PST_CLOCK/EXCEL/NONFILE?isconnectedquery=N&maxrows=1", 500),
    ("ExecuteQuery.v1/PUBLIC/PST_CLOCK/JSON/NONFILE?isconnectedquery=N", 500),
    ("ExecuteQuery.v1/PUBLIC/PST_CLOCK/JSON/NONFILE?isconnectedquery=N&maxrows=-1", 500),
    ("ExecuteQuery.v1/PUBLIC/PST_CLOCK/JSON/NONFILE?isconnectedquery=N&maxrows=ten", 500),
    ("ExecuteQuery.v1/PUBLIC/PST_CLOCK/JSON/NONFILE?maxrows=1", 400),
    ("ExecuteQuery.v1/PUBLIC/PST_CLOCK/JSON/NONFILE?isconnectedquery=maybe&maxrows=1", 400),
    ("ExecuteQuery.v2/PUBLIC/PST_CLOCK/JSON/NONFILE?isconnectedquery=N&maxrows=1", 404),
    ("ListQuery.v1/public?isconnectedquery=N", 404),
])
def test_a_wrong_url_is_refused_as_peoplesoft_does(ps, path, status):
    response = ps.get(NODE + path)
    assert response.status_code == status
    assert "html" in response.text.lower() if status == 404 else re.search(r"\(\d+,\d+\)\]\]>", response.text)


def test_the_wrong_node_is_not_found(ps):
    response = ps.get("/PSIGW/RESTListeningConnector/PSFT_HR/ListQuery.v1/public/listquery?isconnectedquery=N")
    assert response.status_code == 404
    assert "Error 404--Not Found" in response.text


WRONG_PROMPTS = [
    "",
    "&prompt_uniquepromptname=LAST_SETID&prompt_fieldvalue=SHARE",
    "&prompt_uniquepromptname=FROMDTTM,TODTTM,ASOFDATE,LAST_SETID,last_vendor_id&prompt_fieldvalue=,,,,",
    "&prompt_uniquepromptname=FROMDTTM,TODTTM,ASOFDATE,LAST_SETID,LAST_VENDOR_ID&prompt_fieldvalue=,,,",
    "&prompt_uniquepromptname=FROMDTTM,TODTTM,ASOFDATE,LAST_SETID,LAST_VENDOR_ID&prompt_fieldvalue=,,,,,",
    "&prompt_uniquepromptname=FROMDTTM,TODTTM,ASOFDATE,LAST_SETID,LAST_SETID&prompt_fieldvalue=,,,,",
]


@pytest.mark.parametrize("reaction", ["error", "ignore"])
def test_wrong_prompts_are_an_error_or_give_every_row(programs, place, reaction):
    sim = programs(Simulator(place / "sim", wrong_prompts=reaction))
    client = Client(sim)
    total = sim.count("PST_SUPPLIERS")
    for prompts in WRONG_PROMPTS:
        response = client.get(f"{NODE}ExecuteQuery.v1/PUBLIC/PST_SUPPLIERS/JSON/NONFILE?isconnectedquery=N&maxrows=0"
                              f"&json_resp=true{prompts}")
        if reaction == "error":
            assert (response.status_code, "(139,262)" in response.text) == (500, True), prompts
        else:
            assert response.json()["data"]["query"]["numrows"] == total, prompts
    response = client.ask("PST_SUPPLIERS", filterfields="A.VENDOR_ID,A.NO_SUCH")
    assert response.status_code == (500 if reaction == "error" else 200)


@pytest.mark.parametrize("prompts, code", [
    ({"FROMDTTM": "2026-11-24"}, "ORA-01858"),
    ({"TODTTM": "2026-13-24-00.00.00.000000"}, "ORA-01858"),
    ({"LAST_BUSINESS_UNIT": "US001", "LAST_PO_ID": "0000000001", "LAST_LINE_NBR": "one"}, "ORA-01722"),
])
def test_a_bad_prompt_value_is_a_database_error(ps, prompts, code):
    response = ps.ask("PST_PURCHASE_ORDERS", **prompts)
    assert response.status_code == 500
    assert code in response.text


def test_in_production_errors_are_naked(programs, place):
    client = Client(programs(Simulator(place / "sim", production=True)))
    response = client.ask("PST_PURCHASE_ORDERS", FROMDTTM="yesterday")
    assert (response.status_code, response.content) == (500, b"")


def test_an_answer_that_is_too_large_breaks_the_application_server(programs, place):
    client = Client(programs(Simulator(place / "sim", max_answer="64KiB")))
    assert client.ask("PST_PURCHASE_ORDERS").status_code == 500
    assert len(client.rows("PST_PURCHASE_ORDERS", maxrows=50)) == 50


# ---- signing on ----

def test_a_wrong_password_is_401_and_counted(sim, ps):
    for auth in ((sim.USER, "wrong"), ("OTHER", sim.PASSWORD), None):
        ps.session.auth = auth
        response = ps.ask("PST_CLOCK")
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Basic ")
    assert stats(sim)["refused_logins"] == 3


def test_an_account_is_locked_after_some_refusals(programs, place):
    sim = programs(Simulator(place / "sim", lock_after=2))
    client = Client(sim)
    assert client.ask("PST_CLOCK").status_code == 200
    client.session.auth = (sim.USER, "wrong")
    assert [client.ask("PST_CLOCK").status_code for _ in range(2)] == [401, 401]
    client.session.auth = (sim.USER, sim.PASSWORD)
    assert client.ask("PST_CLOCK").status_code == 401
    assert sim.control("GET", "/sim/state")["locked"] is True
    sim.control("POST", "/sim/account", json={"locked": False, "password": "changed"})
    assert client.ask("PST_CLOCK").status_code == 401
    client.session.auth = (sim.USER, "changed")
    assert client.ask("PST_CLOCK").status_code == 200


# ---- faults ----

@pytest.mark.parametrize("kind, status, words", [
    ("401", 401, "Unauthorized"), ("403", 403, "Error 403--Forbidden"), ("404", 404, "Error 404--Not Found"),
    ("429", 429, "Too Many Requests"), ("500_text", 500, "ORA-01555"), ("ib_158_45", 200, PASSWORD_REFUSED), ("503", 503, "Service Temporarily"),
    ("sign_on", 200, "name='userid'"), ("redirect", 302, ""), ("garbage", 200, "{,}"),
])
def test_a_fault_stands_for_the_answer_once(sim, ps, kind, status, words):
    fault(sim, kind, count=1)
    response = ps.ask("PST_CLOCK")
    assert response.status_code == status
    assert words in response.text
    if kind == "redirect":
        assert response.headers["Location"].startswith("https://")
    assert response.headers.get("Retry-After") == ("1" if kind == "429" else None)
    assert ps.ask("PST_CLOCK").status_code == 200
    assert stats(sim)["faults"] == 1


def test_a_naked_500_has_no_body(sim, ps):
    fault(sim, "500", count=1)
    response = ps.ask("PST_CLOCK")
    assert (response.status_code, response.content) == (500, b"")


def test_a_reset_before_the_head_and_in_the_body(sim, ps):
    for more in ({}, {"bytes": 100}):
        fault(sim, "reset", count=1, **more)
        with pytest.raises(requests.exceptions.RequestException):
            ps.ask("PST_SUPPLIERS")
        assert ps.ask("PST_SUPPLIERS").status_code == 200


def raw_answer(sim, ps, query, seconds):
    """Bytes received within that time, and whether the connection was closed."""
    token = requests.auth._basic_auth_str(sim.USER, sim.PASSWORD)
    path = requests.Request("GET", sim.url + f"{NODE}ExecuteQuery.v1/PUBLIC/{query}/JSON/NONFILE",
                            params={"isconnectedquery": "N", "maxrows": 0}).prepare().path_url
    with socket.create_connection(("127.0.0.1", sim.port)) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: sim\r\nAuthorization: {token}\r\n\r\n".encode())
        link.settimeout(seconds)
        received = b""
        try:
            while part := link.recv(65536):
                received += part
        except TimeoutError:
            return received, False
        return received, True


def test_a_truncated_body_is_shorter_than_it_says(sim, ps):
    fault(sim, "truncate", count=1, bytes=40)
    received, closed = raw_answer(sim, ps, "PST_CLOCK", 10)
    head, _, body = received.partition(b"\r\n\r\n")
    assert closed
    assert len(body) == 40 < int(re.search(rb"Content-Length: (\d+)", head).group(1))


def test_a_stalled_body_stays_open(sim, ps):
    fault(sim, "stall", count=1, bytes=40)
    received, closed = raw_answer(sim, ps, "PST_CLOCK", 1)
    assert not closed
    assert len(received.partition(b"\r\n\r\n")[2]) == 40


def test_slow_first_byte_and_latency(sim, ps):
    fault(sim, "slow", count=1, ms=400)
    started = time.monotonic()
    ps.ask("PST_CLOCK")
    assert time.monotonic() - started >= 0.4
    sim.control("POST", "/sim/latency", json={"ms": 200, "jitter_ms": 50})
    started = time.monotonic()
    ps.ask("PST_CLOCK")
    assert time.monotonic() - started >= 0.2
    assert sim.control("POST", "/sim/latency", json={}) == {"ms": 0, "jitter_ms": 0}


def test_a_row_cap_cuts_silently(programs, place, sim, ps):
    fault(sim, "row_cap", rows=7)
    assert len(ps.rows("PST_ITEMS")) == 7
    assert len(ps.rows("PST_ITEMS", maxrows=5)) == 5
    capped = programs(Simulator(place / "capped", row_cap=11))
    assert len(Client(capped).rows("PST_ITEMS", maxrows=100)) == 11


def test_ignored_prompts_give_every_row(sim, ps):
    fault(sim, "prompts_ignored", query="PST_ITEMS")
    assert ps.rows("PST_ITEMS", LAST_SETID="SHARE", LAST_INV_ITEM_ID="ITM9999999") == sim.dump("PST_ITEMS")
    assert ps.rows("PST_SUPPLIERS", LAST_SETID="ZZZZZ") == []


def test_a_missing_column_is_missing_everywhere_or_in_one_row(sim, ps):
    path = NODE + "QueryFields.v1/public/PST_ITEMS?isconnectedquery=N"
    everywhere = fault(sim, "missing_column", query="PST_ITEMS", column="A.DESCR60")
    assert all("A.DESCR60" not in row for row in ps.rows("PST_ITEMS"))
    assert ">A.DESCR60<" not in ps.get(path).text
    sim.control("DELETE", f"/sim/faults/{everywhere}")
    assert ">A.DESCR60<" in ps.get(path).text
    fault(sim, "missing_column", query="PST_ITEMS", column="A.DESCR60", row=2)
    rows = ps.rows("PST_ITEMS")
    assert [number for number, row in enumerate(rows, 1) if "A.DESCR60" not in row] == [2]


@pytest.mark.parametrize("kind, column, value", [
    ("bad_stamp", "A.LAST_DTTM_UPDATE", "2026-13-45-99.99.99.000000"), ("bad_number", "C.QTY_PO", "1.2.3")])
def test_a_bad_value_comes_in_its_row_only(sim, ps, kind, column, value):
    truth = sim.dump("PST_PURCHASE_ORDERS")
    fault(sim, kind, query="PST_PURCHASE_ORDERS", row=3)
    rows = ps.rows("PST_PURCHASE_ORDERS")
    assert rows[2].pop(column) == value != truth[2].pop(column)
    assert rows == truth


def test_invalid_utf8_in_one_row(sim, ps):
    fault(sim, "bad_utf8", query="PST_SUPPLIERS", column="A.NAME1", row=1)
    content = ps.ask("PST_SUPPLIERS").content
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")
    assert content.count(b"\xff\xc3") == 1


def test_a_hidden_query_is_in_no_list_and_cannot_be_run(sim, ps):
    fault(sim, "hidden", query="PST_ITEMS")
    listing = ps.get(NODE + "ListQuery.v1/public/listquery?isconnectedquery=N&search=").text
    assert "PST_ITEMS" not in listing
    assert "PST_SUPPLIERS" in listing
    assert "(139,261)" in ps.ask("PST_ITEMS").text


def test_faults_match_wear_out_and_are_listed(sim, ps):
    number = fault(sim, "503", query="PST_ITEMS", service="ExecuteQuery", after=1, count=2)
    assert [ps.ask("PST_ITEMS", maxrows=1).status_code for _ in range(5)] == [200, 503, 503, 200, 200]
    assert ps.ask("PST_SUPPLIERS", maxrows=1).status_code == 200
    (listed,) = sim.control("GET", "/sim/faults")["faults"]
    assert (listed["id"], listed["kind"], listed["seen"], listed["fired"]) == (number, "503", 5, 2)
    assert sim.control("DELETE", "/sim/faults") == {"removed": 1}
    assert sim.control("GET", "/sim/faults") == {"faults": []}


def test_a_probability_fires_now_and_then(sim, ps):
    fault(sim, "503", probability=0.5)
    answers = [ps.ask("PST_CLOCK").status_code for _ in range(60)]
    assert 10 < answers.count(503) < 50


# ---- the control port ----

def test_rows_are_changed_added_deleted_and_restored(sim, ps):
    before = {tuple(row[k] for k in KEYS["PST_SUPPLIERS"]): row for row in sim.dump("PST_SUPPLIERS")}
    changed = [tuple(key) for key in sim.change("change", "suppliers", count=4)["keys"]]
    added = [tuple(key) for key in sim.change("add", "suppliers", count=3)["keys"]]
    candidates = [key for key in before if key not in changed]
    sim.change("delete", "suppliers", key=candidates[0])
    after = {tuple(row[k] for k in KEYS["PST_SUPPLIERS"]): row for row in sim.dump("PST_SUPPLIERS")}
    assert len(set(changed)) == 4
    assert set(after) - set(before) == set(added)
    assert set(before) - set(after) == {candidates[0]}
    assert {key for key in before if key in after and before[key] != after[key]} == set(changed)
    assert ps.walk("PST_SUPPLIERS", page=3) == list(after.values())
    for key in changed + added + [candidates[0]]:
        sim.change("restore", "suppliers", key=key)
    assert {tuple(row[k] for k in KEYS["PST_SUPPLIERS"]): row for row in sim.dump("PST_SUPPLIERS")} == before


def test_a_line_may_change_without_the_headers_stamp(sim):
    before = sim.dump("PST_PURCHASE_ORDERS")
    (key,) = sim.change("change", "purchase_orders", level="line", stamp=False)["keys"]
    different = [(old, new) for old, new in zip(before, sim.dump("PST_PURCHASE_ORDERS"), strict=True) if old != new]
    assert different
    for old, new in different:
        assert [new["A.BUSINESS_UNIT"], new["A.PO_ID"], new["B.LINE_NBR"]] == key
        assert {column for column in new if old[column] != new[column]} == {"B.DESCR254_MIXED"}


def test_chosen_values_and_a_stamp_in_the_past(sim, ps):
    key = ["US001", "0000000004"]
    sim.change("change", "purchase_orders", key=key, set={"A.PO_STATUS": "X", "A.CUSTOM_C100_A1": 'a "b" \\ 漢字\n'},
               stamp="2026-01-02T03:04:05.678901Z")
    rows = [row for row in ps.rows("PST_PURCHASE_ORDERS") if [row["A.BUSINESS_UNIT"], row["A.PO_ID"]] == key]
    assert {row["A.CUSTOM_C100_A1"] for row in rows} == {'a "b" \\ 漢字\n'}
    assert {row["A.PO_STATUS"] for row in rows} == {"X"}
    assert {row["A.LAST_DTTM_UPDATE"] for row in rows} == {"2026-01-02-03.04.05.678901"}


def test_a_document_may_be_large(sim, ps):
    key = ["US001", "0000000002"]
    sim.change("add", "purchase_orders", key=key, lines=3000, schedules=2)
    rows = [row for row in ps.walk("PST_PURCHASE_ORDERS", page=1000) if [row["A.BUSINESS_UNIT"], row["A.PO_ID"]] == key]
    assert [(int(row["B.LINE_NBR"]), int(row["C.SCHED_NBR"])) for row in rows] == \
        [(line, schedule) for line in range(1, 3001) for schedule in (1, 2)]


@pytest.mark.parametrize("path, body, param", [
    ("/sim/change", {"action": "explode", "entity": "items"}, "action"),
    ("/sim/change", {"action": "change", "entity": "nothing"}, "entity"),
    ("/sim/change", {"action": "change", "entity": "clock"}, "entity"),
    ("/sim/change", {"action": "change", "entity": "items", "level": "line"}, "level"),
    ("/sim/change", {"action": "change", "entity": "items", "key": ["SHARE"]}, "key"),
    ("/sim/change", {"action": "change", "entity": "items", "set": {"A.NOTHING": "x"}}, "set"),
    ("/sim/change", {"action": "change", "entity": "items", "set": {"A.SETID": "x"}}, "A.SETID"),
    ("/sim/change", {"action": "change", "entity": "items", "stamp": "soon"}, "stamp"),
    ("/sim/change", {"action": "change", "entity": "items", "how": "well"}, "member"),
    ("/sim/change", {"action": "restore", "entity": "items"}, "key"),
    ("/sim/clock", {"now": "noon"}, "now"), ("/sim/clock", {"advance": "a bit"}, "advance"),
    ("/sim/faults", {"kind": "fire"}, "kind"), ("/sim/faults", {"kind": "row_cap"}, "rows"),
    ("/sim/faults", {"kind": "slow"}, "ms"), ("/sim/faults", {"kind": "missing_column"}, "column"),
    ("/sim/faults", {"kind": "503", "probability": 2}, "probability"),
    ("/sim/faults", {"kind": "503", "query": 'a"b'}, "query"),
    ("/sim/latency", {"ms": -1}, "ms"), ("/sim/account", {"password": 3}, "password"),
])
def test_a_wrong_control_call_names_what_is_wrong(sim, path, body, param):
    response = sim.session.post(sim.url + path, json=body, timeout=30)
    assert (response.status_code, response.json()["param"]) == (400, param), response.text


def test_keys_that_are_not_there_or_there_already(sim):
    for body, status in (({"action": "change", "key": ["US001", "0000000002"]}, 404),
                         ({"action": "delete", "key": ["US009", "0000000001"]}, 404),
                         ({"action": "add", "key": ["US001", "0000000001"]}, 409),
                         ({"action": "add", "key": ["US001", "0000000002", "1"]}, 404)):
        response = sim.session.post(sim.url + "/sim/change", json={"entity": "purchase_orders", **body}, timeout=30)
        assert response.status_code == status, (body, response.text)
    for path in ("/sim/dump?query=PST_NOTHING", "/sim/dump?query=PST_ITEMS&from=now", "/sim/dump?colour=red"):
        assert sim.session.get(sim.url + path, timeout=30).status_code == 400
    assert sim.session.post(sim.url + "/sim/change", data="{", timeout=30).status_code == 400
    assert sim.session.get(sim.url + "/sim/nothing", timeout=30).status_code == 404
    assert sim.session.delete(sim.url + "/sim/faults/77", timeout=30).status_code == 404


def test_stats_count_calls_rows_and_bytes_per_query(sim, ps):
    sim.control("DELETE", "/sim/stats")
    response = ps.ask("PST_ITEMS", maxrows=9)
    ps.ask("PST_CLOCK")
    counted = stats(sim)
    assert counted["queries"]["PST_ITEMS"] == {"calls": 1, "rows": 9, "bytes": len(response.content)}
    assert (counted["calls"], counted["rows"]) == (2, 10)


def test_the_state_file_keeps_clock_and_changes(programs, place):
    def dumps(sim):
        return [sim.dump(query) for query in sorted(KEYS)]

    how = {"state": place / "sim.state", "seed": 3}
    sim = programs(Simulator(place / "a", **how))
    for entity in ("purchase_orders", "work_orders", "suppliers"):
        sim.change("change", entity, count=3)
        sim.change("add", entity, count=3, between=True)
        sim.change("delete", entity, count=2)
    sim.change("change", "purchase_orders", key=["US001", "0000000001"], set={"A.CUSTOM_C100_A1": "two\nlines"})
    sim.control("POST", "/sim/clock", json={"now": "2027-05-06T07:08:09Z", "freeze": True})
    sim.change("change", "items", count=2)
    before, clock = dumps(sim), sim.control("GET", "/sim/clock")
    sim.kill()
    with open(place / "sim.state", "a", encoding="utf-8") as state:
        state.write('{"op":"change","at":17')  # what a kill in the middle of a write leaves
    sim = programs(Simulator(place / "b", **how))
    assert sim.control("GET", "/sim/clock") == clock
    assert dumps(sim) == before
    sim.change("change", "items", count=2)
    after = dumps(sim)
    assert after != before
    sim.stop()
    assert dumps(programs(Simulator(place / "c", **how))) == after


def test_a_state_file_of_other_settings_is_refused(programs, place):
    programs(Simulator(place / "a", state=place / "sim.state")).stop()
    other = Simulator(place / "b", state=place / "sim.state", seed=2)
    with pytest.raises(RuntimeError, match="made with other options"):
        other.start()
    other.kill()


@pytest.mark.threads
def test_readers_and_changes_side_by_side(sim):
    def read(_):
        rows = Client(sim).walk("PST_PURCHASE_ORDERS", page=200)
        keys = [(row["A.BUSINESS_UNIT"], row["A.PO_ID"], int(row["B.LINE_NBR"]), int(row["C.SCHED_NBR"]))
                for row in rows]
        assert keys == sorted(set(keys))
        return len(keys)

    def change(number):
        action = ("change", "add", "delete")[number % 3]
        return sim.change(action, "purchase_orders", count=5, between=number % 2 == 0)["done"]

    sim.session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=8))
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        reading = [pool.submit(read, number) for number in range(6)]
        changing = [pool.submit(change, number) for number in range(30)]
        assert all(one.result() > 0 for one in reading)
        assert sum(one.result() for one in changing) == 150
    assert stats(sim)["concurrent"] == 0


# ---- the program ----

def test_start_says_where_it_listens(sim):
    line = json.loads(sim.log().splitlines()[0])
    assert sim.port in (line["port"], line["control_port"])
    for name in ("gateway", "control"):
        assert requests.get(line[name] + "/sim/clock", timeout=10).status_code == 200


@pytest.mark.parametrize("flags, words", [
    (["--zone", "Mars/Olympus"], "no time zone"), (["--lines", "9-1"], "--lines"), (["--epoch", "today"], "--epoch"),
    (["--now", "noon"], "--now"), (["--orders", "0"], "orders"), (["--nonsense"], "nonsense"),
])
def test_a_wrong_option_ends_with_words(place, flags, words):
    done = subprocess.run([*Simulator(place / "sim").command, *flags], capture_output=True, text=True, timeout=20,
                          check=False)
    assert done.returncode == 64, done.stderr
    assert words in done.stderr


def test_help_shows_options_and_examples(place):
    done = subprocess.run([Simulator(place / "sim").command[0], "--help"], capture_output=True, text=True, timeout=20,
                          check=True)
    for word in ("--records", "--zone", "--state", "Examples:", "/sim/change"):
        assert word in done.stdout
