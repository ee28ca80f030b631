"""Webhooks and where Penstock may connect; TLS; what an endpoint's settings may be; who may do what."""
import pytest

from harness import Server, wait_until
from harness.hooks import add_hook, base_path, hook_path, wait_statuses
from harness.nginx import Nginx, free_ports
from harness.programs import slowness
from harness.receiver import Answer, Receiver
from harness.setup import connect_to, new_organization
from harness.tlsfront import Certificates

SECONDS = 20 * slowness()
UNREACHED = "the receiver cannot be reached: wrong or closed address, unknown name, or nobody answers there"


@pytest.fixture
def api(server):
    return server.api(new_organization(server))


@pytest.fixture
def strict(programs, place):
    """A server as it is operated: not in development mode."""
    return programs(Server(place / "strict", dev=False))


@pytest.fixture
def secure(place):
    """Makes receivers that speak TLS: secure(subject_alt_name=..., expired=...)."""
    made = []

    def make(**how):
        certificates = Certificates(place / f"ca{len(made)}")
        made.append(Receiver(certificates.issue("receiver", **how)))
        made[-1].authority = certificates.authority
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


def sample_outcome(api, hook):
    made = api.post(hook_path(hook, "test"), json={}, status=202)

    def ended():
        found = api.get(hook_path(hook, "deliveries", made["id"]))
        return found if found["status"] in ("delivered", "failed") else None
    return wait_until(ended, "the sample's outcome", 40 * slowness())


# ---- where to ----


def test_plain_http_needs_development_mode(strict, hooks):
    api = strict.api(new_organization(strict))
    problem = api.fails("POST", "/v1/webhooks", 400, "INVALID_REQUEST", json={"url": hooks.url("/")})
    assert "https" in str(problem)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1", "0.0.0.0", "10.1.2.3", "192.168.0.1",
                                  "169.254.169.254", "[::ffff:127.0.0.1]", "[fe80::1]", "[fc00::1]", "100.64.0.1",
                                  "2130706433", "0x7f000001"])
def test_addresses_that_are_not_global_are_refused(strict, secure, host):
    receiver = secure()
    api = strict.api(new_organization(strict))
    response = api.call("POST", "/v1/webhooks", json={"url": f"https://{host}:{receiver.port}/"})
    if response.status_code == 201:
        outcome = sample_outcome(api, response.json())
        assert outcome["status"] == "failed" and outcome["last_status"] is None, outcome
        assert outcome["last_error"] == UNREACHED, outcome
    else:
        assert response.status_code == 400
    assert not receiver.deliveries and not receiver.connections


def test_refused_and_silent_receivers_look_alike_to_users(strict):
    """Or a webhook would be a scanner of the operator's network. What it was is in the log."""
    api = strict.api(new_organization(strict))
    outcomes = [sample_outcome(api, api.post("/v1/webhooks", json={"url": url}, status=201)) for url in (
        "https://localhost:9999/", "https://no-such-name.invalid/")]
    assert [(o["last_error"], o["attempts"][0]["error"]) for o in outcomes] == [(UNREACHED, UNREACHED)] * 2
    log = strict.log()
    assert "is a loopback address" in log and "looking up the name with 'no-such-name.invalid' failed" in log


def test_private_addresses_are_refused_in_development_mode_too(api):
    api.fails("POST", "/v1/webhooks", 400, "ADDRESS_NOT_ALLOWED", json={"url": "http://10.255.255.1/"})


@pytest.mark.parametrize("how", [{}, {"subject_alt_name": "DNS:other.example.com"}, {"expired": True}],
                         ids=["unknown authority", "another name", "expired"])
def test_a_certificate_that_is_not_good_is_refused(api, secure, how):
    receiver = secure(**how)
    hook = api.post("/v1/webhooks", json={"url": receiver.url("/")}, status=201)
    outcome = sample_outcome(api, hook)
    assert outcome["status"] == "failed" and "certificate" in outcome["last_error"].lower(), outcome
    assert not receiver.deliveries


def test_authorities_of_ones_own_vouch_for_receivers(programs, place, secure):
    receiver = secure()
    server = programs(Server(place / "private", webhook_ca_file=receiver.authority))
    api = server.api(new_organization(server))
    hook = api.post("/v1/webhooks", json={"url": receiver.url("/tls")}, status=201)
    receiver.trust("/tls", hook["secret"])
    outcome = sample_outcome(api, hook)
    assert (outcome["status"], outcome["last_status"]) == ("delivered", 204), outcome
    receiver.wait("/tls", seconds=SECONDS)
    receiver.check()
    # The system's count no more, and this one only for the names it vouched for.
    stranger, other = secure(), receiver.url("/tls").replace("127.0.0.1", "localhost")
    for url in (stranger.url("/"), other):
        outcome = sample_outcome(api, api.post("/v1/webhooks", json={"url": url}, status=201))
        assert outcome["status"] == "failed" and "certificate" in outcome["last_error"].lower(), outcome


def test_a_receiver_behind_http_2(programs, place, hooks):
    certificates = Certificates(place / "ca")
    certificate = certificates.issue("front")
    port = free_ports(1)[0]
    front = Nginx(place / "nginx", f"""server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        location / {{ proxy_pass {hooks.base}; proxy_http_version 1.1; }}
    }}""", [port]).start()
    try:
        server = programs(Server(place / "private", webhook_ca_file=certificates.authority))
        api = server.api(new_organization(server))
        hook = api.post("/v1/webhooks", json={"url": f"https://127.0.0.1:{port}/h2"}, status=201)
        hooks.trust("/h2", hook["secret"])
        for _ in range(3):
            outcome = sample_outcome(api, hook)
            assert (outcome["status"], outcome["last_status"]) == ("delivered", 204), outcome
        hooks.wait("/h2", 3, seconds=SECONDS)
        lines = wait_until(lambda: len(front.requests(uri="/h2")) == 3 and front.requests(uri="/h2"), "nginx's log", SECONDS)
        assert {entry["line"] for entry in lines} == {"POST /h2 HTTP/2.0"}
    finally:
        front.stop()


# ---- what may be set ----

GOOD = {"url": "https://receiver.example.com/hooks"}


@pytest.mark.parametrize("bad", [
    {"url": None}, {"url": ""}, {"url": "receiver.example.com"}, {"url": "ftp://receiver.example.com/"},
    {"url": "https://user:word@receiver.example.com/"}, {"url": "https://receiver.example.com/#part"},
    {"url": "https://receiver.example.com/" + "a" * 2000}, {"url": "https:///path"}, {"url": "https://a b/"},
    {"url": "https://receiver.example.com/\u00e9\n"},
    {"events": ["no.such"]}, {"events": "*"}, {"events": [1]}, {"events": ["flow."]}, {"events": ["nothing.*"]}, {"events": ["*.completed"]},
    {"timeout": "0s"}, {"timeout": "31s"}, {"timeout": 5}, {"retry_for": "59m"}, {"retry_for": "8d"},
    {"rate_limit": 0}, {"rate_limit": 10001}, {"rate_limit": "5"}, {"rate_limit": 1.5},
    {"signing": "rsa"}, {"ordered": "yes"}, {"enabled": 1}, {"no_such_member": 1},
    {"headers": {"Host": "a"}}, {"headers": {"content-length": "1"}}, {"headers": {"Webhook-Id": "x"}},
    {"headers": {"webhook-signature": "x"}}, {"headers": {"Penstock-Sequence": "1"}}, {"headers": {"Connection": "close"}},
    {"headers": {"Transfer-Encoding": "chunked"}}, {"headers": {"User-Agent": "x"}}, {"headers": {"Content-Type": "x"}},
    {"headers": {"X Y": "1"}}, {"headers": {"": "1"}}, {"headers": {"X-A": "a\r\nX-B: b"}}, {"headers": {"X-A": "a\u0000"}},
    {"headers": {"X-" + "a" * 100: "1"}}, {"headers": {"X-A": "a" * 1001}}, {"headers": {"X-A": 1}},
    {"headers": {f"X-{i}": "1" for i in range(21)}},
    {"secret": "whsec_AAAA"}, {"signing": "ed25519", "secret": "whsec_" + "A" * 44},
])
def test_settings_that_are_refused(api, bad):
    body = {**GOOD, **bad}
    body = {name: value for name, value in body.items() if value is not None}
    api.fails("POST", "/v1/webhooks", 400, "INVALID_REQUEST", json=body)
    if "url" in body and "secret" not in bad and "signing" not in bad:
        hook = api.post("/v1/webhooks", json=GOOD, status=201)
        api.fails("PATCH", hook_path(hook), 400, "INVALID_REQUEST", json=bad)
        assert api.get(hook_path(hook))["url"] == GOOD["url"]


def test_settings_at_their_limits(api):
    hook = api.post("/v1/webhooks", status=201, json={
        "url": "https://receiver.example.com/" + "a" * (2000 - 29), "events": ["sync.completed", "flow.*", "flow.po_ok"],
        "timeout": "30s", "retry_for": "7d", "rate_limit": 10000, "description": "Acme\u2019s hub", "ordered": False,
        "headers": {f"X-{i}": "v" * 1000 for i in range(20)}})
    shown = api.get(hook_path(hook))
    assert {k: v for k, v in hook.items() if k != "secret"} == {
        k: v for k, v in shown.items() if k not in ("waiting", "waiting_is_capped")} | {
        k: v for k, v in hook.items() if k.startswith("waiting")}
    least = api.patch(hook_path(hook), json={"timeout": "1s", "retry_for": "1h", "rate_limit": 1, "events": ["*"],
                                             "description": "", "ordered": True})
    assert (least["timeout"], least["retry_for"], least["rate_limit"]) == ("1s", "1h", 1)


def test_what_it_is_when_nothing_is_said(api):
    hook = api.post("/v1/webhooks", json=GOOD, status=201)
    want = {"organization_id": hook["organization_id"], "connection_id": None, "description": "", "events": ["*"],
            "enabled": True, "ordered": True, "rate_limit": None, "timeout": "10s", "retry_for": "24h", "headers": {},
            "signing": "hmac", "status": "active", "disabled_reason": None, "failures": 0}
    assert {name: hook[name] for name in want} == want
    assert hook["secret"].startswith("whsec_") and hook["id"].startswith("whk_")


# ---- who ----


def test_roles_and_tokens(server, sim, hooks):
    admin = server.api(new_organization(server))
    keys = {role: admin.post("/v1/keys", json={"name": role, "role": role}, status=201)["key"]
            for role in ("developer", "viewer")}
    viewer, developer = (server.api(keys[role]) for role in ("viewer", "developer"))
    hook = add_hook(developer, hooks, "/mine")
    for path in ("/v1/webhooks", hook_path(hook), hook_path(hook, "deliveries"), "/v1/events", "/v1/event-types"):
        viewer.get(path)
        server.api(None).fails("GET", path, 401, "AUTHENTICATION_FAILED")
    for method, path, body in (("POST", "/v1/webhooks", GOOD), ("PATCH", hook_path(hook), {"description": "x"}),
                               ("DELETE", hook_path(hook), None), ("POST", hook_path(hook, "test"), {}),
                               ("POST", hook_path(hook, "rotate-secret"), {}),
                               ("POST", hook_path(hook, "resend"), {"since": "2026-01-01T00:00:00Z"})):
        assert viewer.call(method, path, json=body).status_code == 403, (method, path)
    connection = connect_to(admin, sim)
    assert viewer.call("POST", base_path(connection), json=GOOD).status_code == 403
    viewer.get(base_path(connection))


def test_what_is_done_is_in_the_audit_log(api, hooks):
    hook = add_hook(api, hooks, "/audited", headers={"X-Token": "value-of-a-header"})
    api.patch(hook_path(hook), json={"description": "changed-words", "enabled": False})
    api.patch(hook_path(hook), json={"enabled": True})
    api.post(hook_path(hook, "rotate-secret"), json={})
    made = api.post(hook_path(hook, "test"), json={}, status=202)
    hooks.wait("/audited", seconds=SECONDS)
    api.post(hook_path(hook, "deliveries", made["id"], "resend"), status=202)
    api.delete(hook_path(hook), status=204)
    rows = [row for row in api.pages("/v1/audit", limit=500) if row["action"].startswith("webhook.")]
    assert {row["action"] for row in rows} == {
        "webhook.create", "webhook.update", "webhook.rotate_secret", "webhook.test", "webhook.resend", "webhook.delete"}
    text = str(rows)
    for value in ("changed-words", "value-of-a-header", hook["secret"]):
        assert value not in text, "names of what changed, never values"


def test_secrets_are_shown_once_and_sealed(server, api, hooks):
    hook = add_hook(api, hooks, "/sealed", headers={"X-Token": "value-of-a-header"})
    rotated = api.post(hook_path(hook, "rotate-secret"), json={})["secret"]
    api.post(hook_path(hook, "test"), json={}, status=202)
    hooks.trust("/sealed", rotated)
    hooks.wait("/sealed", seconds=SECONDS)
    for path in ("/v1/webhooks", hook_path(hook)):
        text = api.call("GET", path).text
        assert "whsec_" not in text and "value-of-a-header" not in text
    server.stop()
    for file in server.data.iterdir():
        content = file.read_bytes() if file.is_file() else b""
        for secret in (hook["secret"], rotated, "value-of-a-header"):
            assert secret.encode() not in content and secret[6:].encode() not in content, file
    assert "whsec_" not in server.log() and "value-of-a-header" not in server.log()


def test_lists_page_by_page(api, hooks):
    made = [add_hook(api, hooks, f"/{i}")["id"] for i in range(5)]
    listed = [hook["id"] for hook in api.pages("/v1/webhooks", limit=2)]
    assert sorted(listed) == sorted(made)
    hook = {"id": made[0]}
    for _ in range(5):
        api.post(hook_path(hook, "test"), json={}, status=202)
    wait_statuses(api, hook, "delivered", 5)
    found = list(api.pages(hook_path(hook, "deliveries"), limit=2))
    assert len(found) == len({d["id"] for d in found}) == 5
    assert found == list(api.pages(hook_path(hook, "deliveries"), limit=100, type="sync.completed,sync.failed"))
    assert list(api.pages(hook_path(hook, "deliveries"), limit=100, type="sync.failed")) == []
    assert list(api.pages(hook_path(hook, "deliveries"), limit=100, until="2020-01-01T00:00:00Z")) == []
    for query in ("status=no", "type=no.such", "since=yesterday", "limit=0", "limit=501", "cursor=AAAA"):
        assert api.call("GET", hook_path(hook, "deliveries") + "?" + query).status_code == 400, query
    api.fails("GET", "/v1/webhooks/whk_00000000000000000000000000", 404, "NOT_FOUND")


def test_an_answer_of_the_receiver_is_shown_as_text(api, hooks):
    hook = add_hook(api, hooks, "/html")
    hooks.on("/html", Answer(400, headers={"Content-Type": "text/html"}, body=b'<b>"\x07</b>'))
    outcome = sample_outcome(api, hook)
    assert outcome["attempts"][0]["response"].startswith('<b>"')
