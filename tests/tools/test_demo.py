"""tools/demo.py: a second run on the same store, and what it does when something goes wrong."""
import http.server
import json
import pathlib
import subprocess
import sys
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import demo  # noqa: E402


class Api(http.server.BaseHTTPRequestHandler):
    """Has one connection; takes another address only with credentials, as Penstock does."""

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self):  # noqa: N802  (the name is the base class's)
        self.answer(200, {"data": [{"id": "conn_1", "initial_sync_done": True}]})

    def do_PATCH(self):  # noqa: N802
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "credentials" in body:
            self.answer(200, {})
        else:
            self.answer(400, {"detail": "another address needs 'credentials'"})

    def log_message(self, *_):
        pass


@pytest.fixture
def api():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Options:
    port, sim_port = 1, 2
    fresh = False


def test_the_simulator_may_have_another_port_the_next_time(api):
    made = demo.Demo(Options())
    made.url = api
    assert made.connection("key") == ("conn_1", False)


def test_an_error_of_the_api_is_told_in_its_words(api):
    with pytest.raises(demo.Stop, match="PATCH .* was answered with 400: another address needs 'credentials'"):
        demo.call(api + "/v1/connections/conn_1", "PATCH", {"config": {}})
    with pytest.raises(OSError):  # so that a program that starts is asked again
        demo.call(api + "/v1/connections/conn_1", "PATCH", {"config": {}})


@pytest.mark.parametrize("trouble", [demo.Stop("no"), KeyError("surprise")])
def test_programs_are_stopped_whatever_happens(monkeypatch, tmp_path, trouble):
    children = []

    def run(self):
        child = subprocess.Popen(["sleep", "600"])
        children.append(child)
        self.children.append(("sleep", child))
        raise trouble

    monkeypatch.setattr(demo, "parse_arguments", Options)
    monkeypatch.setattr(demo, "hold_place", lambda: None)
    monkeypatch.setattr(demo, "build", lambda: None)
    monkeypatch.setattr(demo, "DATA", tmp_path / "data")
    monkeypatch.setattr(demo.signal, "signal", lambda *_: None)
    monkeypatch.setattr(demo.Demo, "run", run)
    if isinstance(trouble, demo.Stop):
        assert demo.main() == 1
    else:
        with pytest.raises(KeyError):
            demo.main()
    assert children[0].poll() is not None
