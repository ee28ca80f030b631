#!/usr/bin/env python3
"""Writes the seeds of the fuzz corpus from the real programs: what the simulator answers, what a
client of the API sends, and the cursors, keys and files of a running server.

    tests/fuzz/seeds.py         (needs a build: ./dev build; the folders below corpus/ get new files)

Seeds are named after what they are; what a fuzzer finds is added by hand under a name that says
what it was. Every target's first byte is a choice, see the target.
"""
import pathlib
import re
import socket
import sys
import tempfile
import threading

import requests
import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import Server, Simulator  # noqa: E402
from harness.setup import connect_to, new_organization, wait_sync  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CORPUS = ROOT / "tests/fuzz/corpus"
ENTITIES = ["items", "purchase_orders", "suppliers", "work_orders"]


def put(target, name, content, first=b"\0"):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        content = content.encode()
    (folder / name).write_bytes(first + content)


def pages(sim):
    """The first rows of every query, and the ways in which the service answers otherwise."""
    service = f"{sim.url}/PSIGW/RESTListeningConnector/PSFT_EP/ExecuteQuery.v1/public"
    session = requests.Session()
    session.trust_env = False
    for number, entity in enumerate(ENTITIES):
        query = yaml.safe_load((ROOT / f"src/connectors/peoplesoft/queries/pst_{entity}.yaml").read_text())
        prompts = [prompt["name"] for prompt in query["prompts"]]
        values = ["0" if prompt.endswith("_NBR") else "" for prompt in prompts]
        answer = session.get(f"{service}/PST_{entity.upper()}/JSON/NONFILE", auth=(sim.USER, sim.PASSWORD), params={
            "isconnectedquery": "N", "maxrows": 4, "json_resp": "true",
            "prompt_uniquepromptname": ",".join(prompts), "prompt_fieldvalue": ",".join(values)})
        for choice in (number, number | 0x80):
            put("page", f"{entity}-{choice}", answer.content, bytes([choice]))
        if '"rows"' not in answer.text:
            sys.exit(f"{entity}: {answer.status_code} {answer.text[:300]}")
    small = '{"status":"success","data":{"query":{"numrows":1,"queryname=":"Q","rows":%s}}}'
    rows = {"none": "[]", "one": '{"A.SETID":"S","A.VENDOR_ID":"1"}', "blank": '""', "null": "null",
            "number": '[{"A.SETID":"S","A.VENDOR_ID":-1.5e3}]', "control": '[{"A.SETID":"a\tb","A.VENDOR_ID":"\\ud800"}]',
            "nested": '[{"A.SETID":{"x":[1]},"A.VENDOR_ID":NaN}]', "twice": '[{"A.SETID":1,"A.SETID":.5}]'}
    for name, text in rows.items():
        put("page", f"form-{name}", "\ufeff" * (name == "one") + small % text, b"\2")
    put("page", "form-cut", (small % "[{")[:-3], b"\2")
    put("page", "form-failed", '{"status":"failure","error":{"message":"no (158,45)"}}', b"\2")


def record_request(*arguments, **more):
    """The bytes that a client puts on the wire."""
    listener = socket.create_server(("127.0.0.1", 0))
    received = []

    def serve():
        connection, _ = listener.accept()
        connection.settimeout(0.2)
        try:
            while data := connection.recv(65536):
                received.append(data)
        except TimeoutError:
            pass
        connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    session = requests.Session()
    session.trust_env = False
    method, path = arguments
    session.request(method, f"http://127.0.0.1:{listener.getsockname()[1]}{path}", **more)
    thread.join()
    listener.close()
    return b"".join(received)


def requests_of_clients():
    put("request", "get", record_request("GET", "/v1/connections?limit=2"))
    put("request", "post", record_request("POST", "/v1/connections", json={"name": "x"}))
    put("request", "chunked", record_request("POST", "/v1/connections", data=iter([b"{\"name\"", b":\"x\"}"])))
    for name, text in {
        "http-1-0": "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "expect": "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
        "extension": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "5;a=b;c=\"d\"\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
        "both-lengths": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "absolute": "GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n",
        "folded": "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
        "bare-lf": "GET / HTTP/1.1\nHost: a\n\n",
        "pipelined": "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    }.items():
        put("request", name, text, b"\3")


def what_clients_hand_back(server, api, key, connection):
    path = f"/v1/connections/{connection}"
    records = api.get(f"{path}/suppliers", params={"limit": 2})
    put("cursor", "records", records["next_cursor"], bytes([2]))
    put("cursor", "records-by-update", api.get(f"{path}/suppliers", params={
        "limit": 2, "sort": "-updated_at"})["next_cursor"], bytes([2 + 32]))
    for _ in range(2):
        connect_to(api, server.sim)
    listed = api.get("/v1/connections", params={"limit": 1})
    operations = re.findall(r"^    \{PST_METHOD_\w+,\s+\"(\S+)\"", (ROOT / "src/api/routes.c").read_text(), re.M)
    put("cursor", "connections", f"limit=1&cursor={listed['next_cursor']}", bytes([operations.index("/v1/connections")]))
    put("cursor", "key", re.sub(r"(?<=^psk_)...", "abc", key))
    put("cursor", "connection-id", connection)
    put("cursor", "page-token-order", "US001|0000000123", b"\1")
    put("cursor", "page-token-odd", "US%7C1|%25", b"\1")
    for name, query in {
        "filters": "/v1/connections/x/purchase-orders?status=dispatched&order_date_after=2026-01-01&limit=500",
        "encoded": "/v1/connections/a%2Fb/suppliers/S%7C%2500?cursor=a%20b+c&x=&&y",
        "dots": "/v1/../x/./%2e%2e?a=%zz", "rest": "/files/a/b/c?%00", "source-id": "A%7CB|C%25|",
    }.items():
        put("uri", name, query, b"")


def texts():
    for name, text in {"day": "2016-08-30", "stamp": "2016-08-30-12.34.56.000000", "iso": "2026-10-25T02:30:00Z",
                       "offset": "2026-10-25T02:30:00.25+05:45", "blank": "2026-03-29 02:30:00", "time": " 9:05",
                       "http": "Sun, 06 Nov 1994 08:49:37 GMT", "asctime": "Sun Nov  6 08:49:37 1994",
                       "rule": "CET-1CEST,M3.5.0,M10.5.0/3", "rule-odd": "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
                       "rule-julian": "EST5EDT,J60/-2,300/26:30:15"}.items():
        put("stamp", name, text, bytes([sum(map(ord, name)) % 4]))
    for zone in ("UTC", "Australia/Lord_Howe", "Pacific/Apia"):
        put("stamp", "file-" + zone.replace("/", "-"), (pathlib.Path("/usr/share/zoneinfo") / zone).read_bytes(), b"\x80")
    for name, text in {"plain": "39000.000 -0.5", "exponent": "1.5e-3 2E5", "point": ".5 5.", "long": "9" * 36 + " 1",
                       "minus-zero": "-0.00 0", "duration": "90s", "size": "64MiB", "big": "9223372036854775807"}.items():
        put("decimal", name, text, b"")
    for name, text in {"daily": "0 6 * * *", "steps": "*/15 8-18/2 1,15 * mon-fri", "never": "0 0 30 2 *",
                       "zone": "0 6 * * * Europe/Berlin", "interval": "15m", "manual": "manual", "sunday": "0 0 * * 7",
                       "object": '{"cron":"0 6 * * *","time_zone":"Europe/Berlin"}', "leap": "0 0 29 feb *"}.items():
        put("cron", name, text, b"\1")
    for name, text in {"object": '{"a":[1,-2.50e10,"\\u00e9\\ud83d\\ude00",true,null,{}],"b":""}', "deep": "[" * 9 + "]" * 9,
                       "twice": '{"a":1,"a":2}', "number": "123456789012345678901234567890.1000", "bom": "\ufeff[]"}.items():
        put("json", name, text, b"\3")


def files():
    put("yaml", "connector", (ROOT / "src/connectors/peoplesoft/connector.yaml").read_bytes()[:12000], b"")
    for entity in ENTITIES:
        put("yaml", f"model-{entity}", (ROOT / f"model/{entity}.yaml").read_bytes()[:2000], b"")
    put("yaml", "manifest", """name: fuzz
title: Fuzz
description: A small connector.
credits: 1
options:
  base_url: {type: url, required: true, title: URL, help: Where it is.}
  password: {type: string, credential: true, secret: true, title: Password, help: Its password.}
  wait: {type: duration, min: 1s, max: 1h, default: 30s, title: Wait, help: How long.}
streams:
  suppliers:
    windowed: false
    fields:
      number: {column: A.VENDOR_ID, required: true}
      status: {column: A.STATUS, map: {A: active, I: inactive}}
""", b"")
    put("yaml", "mapping", """display_name: {template: 'PO {A.C0} {A.C1}'}
created_at: A.C2
fields:
  number: {column: A.C0, required: true}
  status: {column: A.C3, when: [{if: {A.C3: [D], A.C4: [R]}, value: received}], map: {D: dispatched}}
  supplier_id: {ref: [A.C5, A.C6]}
  total_amount: {sum: A.C10}
  lines:
    group_by: [B.C12]
    fields: {number: B.C12, quantity: {sum: C.QTY}, schedules: {group_by: [C.N], fields: {number: C.N}}}
""", b"")
    put("yaml", "scalars", "a: 1\nb: ~\nc: 'x'\nd: \"\\u00e9\"\ne: |\n  text\n  more\nf: [1.50, 0x1f, yes, .inf]\ng: {h: 01}\n", b"")
    put("config", "file", "listen: [\"127.0.0.1:7400\"]\nlog_level: debug\npage_rows: 500\n", b"")
    put("config", "all", "page_rows: 500\n\0PENSTOCK_LOG_LEVEL=warn\n--page-rows=100\n--listen\n127.0.0.1:1\n-h\nword\n", b"")
    lines = ["-0000001", "-US001", "-2026-01-15-12.00.00.000000", "-D", "-R", "-SHARE", "-0000000042", "-2026-03-01",
             "-2026-03-29", "-USD", "#10.500", "-2026-03-29-02.30.00.000000", "#1", "#2.0000", "#-4.25", "- text "]
    put("mapping", "order", "\n".join("+" + line[1:] if line[0] == "-" else line for line in lines * 3), b"")
    put("mapping", "kinds", "+\n0\n!\n!x\n#1e5\n-\n+Y\n+true\n+1,5\n+ 12 \n+1e99999\n+30/02/2026\n", b"")


def main():
    with tempfile.TemporaryDirectory() as place:
        sim = Simulator(pathlib.Path(place) / "sim", orders=20).start()
        server = Server(place).start()
        server.sim = sim
        try:
            key = new_organization(server)
            api = server.api(key)
            connection = connect_to(api, sim)
            wait_sync(api, connection)
            pages(sim)
            requests_of_clients()
            what_clients_hand_back(server, api, key, connection)
        finally:
            server.stop()
            sim.stop()
    texts()
    files()
    print(f"{sum(1 for path in CORPUS.rglob('*') if path.is_file())} files below {CORPUS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
