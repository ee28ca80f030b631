"""Requests are limited per key, per connection and, with keys that are none, per address: both
sides of each limit, what the answers say, and who is not held up."""
import re
import signal
import threading
import time

import pytest
import requests

from harness import Server, slowness, wait_until
from harness.setup import connect_to, new_organization, wait_sync

NOWHERE = "http://127.0.0.1:9"


def connection_to_nowhere(api, name="ERP"):
    return api.post("/v1/connections", status=201, json={
        "name": name, "connector": "peoplesoft", "config": {"base_url": NOWHERE}, "schedule": "manual",
        "credentials": {"username": "x", "password": "y"}})["id"]


def fields(value):
    """'"key";q=6000;w=60, "connection";...' as {"key": {"q": 6000, "w": 60}}."""
    found = {}
    for item in value.split(", "):
        name, *parameters = item.split(";")
        assert re.fullmatch(r'"[a-z]+"', name), value
        found[name.strip('"')] = {k: int(v) for k, v in (p.split("=") for p in parameters)}
    return found


def limits_of(response):
    return fields(response.headers["RateLimit-Policy"]), fields(response.headers["RateLimit"])


def limited(programs, place, **limits):
    server = programs(Server(place, **{"rate_limit_key": 0, "rate_limit_connection": 0, **limits}))
    return server, server.api(new_organization(server))


def check_refusal(response, policy):
    assert response.status_code == 429
    problem = response.json()
    assert problem["code"] == "RATE_LIMIT_EXCEEDED" and problem["origin"] == "request", problem
    assert problem["violated_policies"] == [policy] and problem["retryable"] is True
    assert int(response.headers["Retry-After"]) == problem["retry_after"] >= 1
    return problem


def test_the_defaults_are_told_with_every_answer(programs, place):
    server, _ = limited(programs, place / "own", rate_limit_key=None, rate_limit_connection=None)
    api = server.api(new_organization(server, "Other"))
    policies, left = limits_of(api.call("GET", "/v1/keys"))
    assert policies == {"key": {"q": 6000, "w": 60}}
    assert left["key"]["r"] == 5999 and left["key"]["t"] == 1
    connection = connection_to_nowhere(api)
    for method, path, status in (("GET", f"/v1/connections/{connection}", 200),
                                 ("GET", f"/v1/connections/{connection}/changes", 200),
                                 ("GET", f"/v1/connections/{connection}/changes?wait=1", 200),
                                 ("GET", f"/v1/connections/{connection}/suppliers?limit=x", 400),
                                 ("PATCH", f"/v1/connections/{connection}", 200),
                                 ("DELETE", f"/v1/connections/{connection}", 204)):
        response = api.call(method, path, json={} if method == "PATCH" else None)
        policies, left = limits_of(response)
        assert response.status_code == status
        assert policies == {"key": {"q": 6000, "w": 60}, "connection": {"q": 6000, "w": 60}}, path
        assert set(left) == {"key", "connection"} and all(0 < each["r"] < 6000 for each in left.values())
        # One line of each: a long-poll that was answered anew does not say it twice.
        assert response.raw.headers.getlist("RateLimit") == [response.headers["RateLimit"]]
    for path in ("/healthz", "/v1/openapi.json", "/docs", "/metrics", "/nothing"):
        assert "RateLimit" not in api.call("GET", path).headers, path


def test_a_key_has_its_quota_and_not_one_more(programs, place):
    server, api = limited(programs, place, rate_limit_key=5)
    for left in (4, 3, 2, 1, 0):
        response = api.call("GET", "/v1/keys")
        assert response.status_code == 200
        assert limits_of(response)[1]["key"]["r"] == left
    response = api.call("GET", "/v1/keys")
    problem = check_refusal(response, "key")
    assert problem["retry_after"] <= 12 and "5 in a minute" in problem["detail"]
    assert limits_of(response)[1]["key"]["r"] == 0
    # Whatever is asked for, writes and refusals included, and nothing was done.
    check_refusal(api.call("POST", "/v1/keys", json={"name": "never", "role": "viewer"}), "key")
    check_refusal(api.call("GET", "/v1/connections/nothing"), "key")
    # Others are not held up: another key, the operator, who is nobody.
    other = server.cli("keys", "create", "--name", "other", json_output=True)["key"]
    names = [key["name"] for key in server.cli("keys", json_output=True)["data"]]
    assert "never" not in names and "other" in names
    assert server.api(other).call("GET", "/v1/keys").status_code == 200
    assert server.api().call("GET", "/v1/keys").status_code == 401
    for _ in range(20):
        server.cli("keys")
    metrics = api.call("GET", "/metrics").text
    assert 'penstock_http_limited_total{policy="key"} 3' in metrics, metrics
    assert 'penstock_http_limited_total{policy="connection"} 0' in metrics


def test_what_was_promised_holds(programs, place):
    _, api = limited(programs, place, rate_limit_key=30)
    while (response := api.call("GET", "/v1/keys")).status_code == 200:
        pass
    wait = check_refusal(response, "key")["retry_after"]
    assert wait <= 2
    started = time.monotonic()
    wait_until(lambda: time.monotonic() - started >= wait, "the promised time", wait + 5)
    assert api.call("GET", "/v1/keys").status_code == 200


def test_a_connection_has_its_quota_for_all_keys_and_tokens_together(programs, place):
    server, api = limited(programs, place, rate_limit_connection=6)
    crowded, quiet = (connection_to_nowhere(api, name) for name in ("crowded", "quiet"))
    token = api.post(f"/v1/connections/{crowded}/tokens", json={"name": "app"}, status=201)["token"]
    callers = [api, api.with_token(token),
               api.with_token(server.cli("keys", "create", "--name", "k", json_output=True)["key"])]
    taken = 1  # the token was made for it
    while taken < 6:
        caller = callers[taken % 3]
        path = "/v1/history" if caller.token == token else f"/v1/connections/{crowded}"
        response = caller.call("GET", path)
        taken += 1
        assert response.status_code == 200 and limits_of(response)[1]["connection"]["r"] == 6 - taken
    for caller in callers:
        path = "/v1/history" if caller.token == token else f"/v1/connections/{crowded}"
        check_refusal(caller.call("GET", path), "connection")
    assert api.call("GET", f"/v1/connections/{quiet}").status_code == 200
    assert api.call("GET", "/v1/connections").status_code == 200
    assert server.cli("connections", "get", "crowded", json_output=True)["id"] == crowded


def test_a_foreign_key_takes_nothing_of_a_connection(programs, place):
    server, api = limited(programs, place, rate_limit_connection=3)
    connection = connection_to_nowhere(api)
    stranger = server.api(new_organization(server, "Stranger"))
    for _ in range(10):
        response = stranger.call("GET", f"/v1/connections/{connection}")
        assert response.status_code == 404 and "RateLimit" not in response.headers
    assert limits_of(api.call("GET", f"/v1/connections/{connection}"))[1]["connection"]["r"] == 2


def test_keys_that_are_none_are_limited_per_address_and_valid_ones_are_not(programs, place):
    server, api = limited(programs, place, rate_limit_failures=None)  # its default: 10
    wrong = [server.api("psk_" + "0" * 58), server.api("nothing"), server.api(api.token[:-1] + ("1" if api.token[-1] == "0" else "0"))]
    statuses = [wrong[i % 3].call("GET", "/v1/keys").status_code for i in range(10)]
    assert statuses == [401] * 10
    for caller in wrong:
        problem = check_refusal(caller.call("GET", "/v1/keys"), "address")
        assert problem["retry_after"] <= 6
    # Without any key nothing was guessed; with a valid one there is no waiting.
    assert server.api().call("GET", "/v1/keys").status_code == 401
    for _ in range(20):
        assert api.call("GET", "/v1/keys").status_code == 200
    assert 'limited_total{policy="address"} 3' in api.call("GET", "/metrics").text
    # Another address has its own.
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", FromAddress("127.0.0.2"))
    answer = session.get(server.url + "/v1/keys", headers={"Authorization": "Bearer nothing"}, timeout=20)
    assert answer.status_code == 401


class FromAddress(requests.adapters.HTTPAdapter):
    def __init__(self, address):
        self.address = address
        super().__init__()

    def init_poolmanager(self, *args, **more):
        super().init_poolmanager(*args, source_address=(self.address, 0), **more)


def test_limits_can_be_changed_and_taken_away_while_running(programs, place):
    config = place / "penstock.yaml"
    config.write_text("rate_limit_key: 3\n")
    server = programs(Server(place, rate_limit_key=None, env={"PENSTOCK_CONFIG": config}))
    api = server.api(new_organization(server))
    statuses = [api.call("GET", "/v1/keys").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    for text, quota in (("rate_limit_key: 100000\n", 100000), ("rate_limit_key: 0\n", None)):
        config.write_text(text)
        seen = len(server.log_lines(msg="option changed", option="rate_limit_key"))
        server.signal(signal.SIGHUP)
        wait_until(lambda: len(server.log_lines(msg="option changed", option="rate_limit_key")) > seen,
                   "the reload", 10 * slowness())
        # The line is written before the limits are in force.
        response = wait_until(lambda q=quota: (r := api.call("GET", "/v1/keys")) and
                              (limits_of(r)[0].get("key", {}).get("q") if "RateLimit" in r.headers else None) == q and
                              r, "the new limit", 10 * slowness())
        assert response.status_code == 200


@pytest.mark.parametrize("text", ["-1", "10000001", "many"])
def test_a_limit_that_is_none_is_refused_at_the_start(place, text):
    server = Server(place, rate_limit_key=text)
    server.start(ready=False)
    assert server.wait(20 * slowness()) == 64
    assert "rate" in server.log() and "limit" in server.log()


@pytest.mark.threads
def test_a_greedy_key_takes_nothing_of_the_others_quota(programs, place):
    """Two hundred refusals of one key; not one of another organization's, nor of another key of its own."""
    server, greedy = limited(programs, place, rate_limit_key=40)
    others = [server.api(new_organization(server, "Other")),
              server.api(server.cli("keys", "create", "--organization", "Test", "--name", "k", json_output=True)["key"])]
    refused = 0
    for i in range(1, 241):
        refused += greedy.call("GET", "/v1/keys").status_code == 429
        if i % 8 == 0:
            for other in others:
                response = other.call("GET", "/v1/keys")
                assert response.status_code == 200
                assert limits_of(response)[1]["key"]["r"] >= 40 - i // 8, "less is left than it did not use itself"
    # What comes back in a minute of such greed is 40 more.
    assert refused >= 160
    assert f'limited_total{{policy="key"}} {refused}\n' in greedy.call("GET", "/metrics").text


# ---- calls of connected systems ----

def most_at_once(api, sim, connections, each):
    """Test every connection `each` times side by side; how many calls the system saw at once."""
    sim.control("DELETE", "/sim/stats")
    failures = []

    def look(connection):
        checks = api.with_token(api.token).post(f"/v1/connections/{connection}/test", json={})
        failures.extend([] if checks["ok"] else [checks])

    threads = [threading.Thread(target=look, args=(c,)) for c in connections for _ in range(each)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    return sim.control("GET", "/sim/stats")["concurrent_max"]


@pytest.mark.threads
@pytest.mark.parametrize("of_one", [None, 1, 4])
def test_a_system_gets_four_calls_at_once_and_a_connection_two_of_them(programs, place, sim, of_one):
    server = programs(Server(place, call_workers=12, sync_workers=4, calls_per_connection=of_one))
    api = server.api(new_organization(server))
    connections = [connect_to(api, sim, schedule="manual", entities=["suppliers"]) for _ in range(5)]
    for connection in connections:
        assert wait_sync(api, connection)["status"] == "completed"
    sim.control("POST", "/sim/latency", json={"ms": 40})
    assert most_at_once(api, sim, connections[:1], 6) == (of_one or 2)
    assert most_at_once(api, sim, connections, 2) == 4
