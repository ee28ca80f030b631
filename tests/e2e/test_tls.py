"""TLS to the connected system: what is trusted, and what people are told when it is not."""
import pytest

from harness.setup import connection_body, new_organization, wait_sync
from harness.tlsfront import Certificates, TlsFront


@pytest.fixture
def front(sim, place):
    """Makes TLS fronts of the simulator: front(certificate)."""
    open_fronts = []

    def make(certificate):
        open_fronts.append(TlsFront(sim.port, certificate))
        return open_fronts[-1]

    yield make
    for each in open_fronts:
        each.close()


@pytest.fixture
def certificates(place):
    return Certificates(place / "ca")


def connect(api, sim, url, **config):
    body = connection_body(sim)
    body["config"].update(base_url=url, **config)
    return api.post("/v1/connections", json=body, status=201)["id"]


def test_a_private_authority_is_trusted_when_it_is_given(server, sim, front, certificates):
    api = server.api(new_organization(server))
    url = front(certificates.issue("good")).url
    connection = connect(api, sim, url, ca_pem=certificates.authority.read_text())
    sync = wait_sync(api, connection)
    assert sync["status"] == "completed", sync
    assert api.get(f"/v1/connections/{connection}")["status"] == "online"


@pytest.mark.parametrize("trusted, how", [
    (False, {}),
    (True, {"subject_alt_name": "DNS:other.example.com"}),
    (True, {"expired": True}),
])
def test_a_certificate_that_is_not_good_is_refused(server, sim, front, certificates, trusted, how):
    api = server.api(new_organization(server))
    url = front(certificates.issue("bad", **how)).url
    config = {"ca_pem": certificates.authority.read_text()} if trusted else {}
    connection = connect(api, sim, url, **config)
    sync = wait_sync(api, connection, seconds=60)
    assert sync["status"] == "failed", sync
    assert "certificate" in str(sync).lower(), sync
    found = api.post(f"/v1/connections/{connection}/test")
    text = str(found).lower()
    assert "certificate" in text and "ca_pem" in text, found


def test_checking_can_be_switched_off_for_one_connection(server, sim, front, certificates):
    api = server.api(new_organization(server))
    url = front(certificates.issue("own")).url
    connection = connect(api, sim, url, tls_verify=False)
    assert wait_sync(api, connection)["status"] == "completed"
