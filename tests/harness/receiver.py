"""A receiver of webhooks on loopback that keeps every delivery, verifies its signature itself, and misbehaves
on request, path by path.

    hooks = Receiver()
    hooks.on("/sometimes", Answer(503), Answer(429, headers={"Retry-After": "7"}), Answer(204))
    hooks.trust("/sometimes", secret)

The answers of a path are given one after another, the last one again and again; an unknown path answers 204. A
function in place of an answer is asked for one with the delivery. What is wrong with a delivery whatever it is
answered (a signature, a header) is kept in `problems`.
"""
import collections
import contextlib
import dataclasses
import json
import re
import socket
import ssl
import struct
import threading
import time

from .signing import verify
from .wait import wait_until

REQUIRED = {
    "content-type": r"application/json",
    "user-agent": r"penstock/\S+",
    "webhook-id": r"evt_[0-9a-z]{26}",
    "webhook-timestamp": r"\d{10}",
    "webhook-signature": r"v1a?,[A-Za-z0-9+/=]+( v1a?,[A-Za-z0-9+/=]+)*",
    "penstock-sequence": r"0|[1-9]\d*",  # 0: a sample's
    "penstock-delivery": r"dlv_[0-9a-z]{26}",
    "penstock-attempt": r"[1-9]\d*",
    "penstock-event-version": r"[1-9]\d*",
}
HOLD_SECONDS = 120  # longest that a hanging answer keeps its thread


@dataclasses.dataclass
class Answer:
    """how: "answer"; "hang" (says nothing), "close" and "reset" (end the connection instead), "drip" (a byte a
    while), "endless_headers", "huge" (a body that never ends), "raw" (`body` is all that is said). after:
    seconds before anything is said."""
    status: int = 204
    headers: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""
    how: str = "answer"
    after: float = 0.0


@dataclasses.dataclass
class Delivery:
    path: str
    headers: dict  # names in small letters
    body: bytes
    at: float  # time.time() when all of it was there
    connection: int  # number of the TCP connection
    answered: Answer = None
    sent: int = 0  # bytes of the answer that went out
    ended_at: float = 0.0  # when the answer was out, or the connection over

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def sequence(self):
        return int(self.headers["penstock-sequence"])

    @property
    def attempt(self):
        return int(self.headers["penstock-attempt"])

    @property
    def event(self):
        return json.loads(self.body)


class Gone(Exception):
    """The connection is over."""


class Receiver:
    """certificate: a PEM file with key and certificate; then it speaks TLS. sends: bytes that a socket takes
    before the other side has read them, for answers that never end."""

    def __init__(self, certificate=None, port=0):
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.base = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        self.lock = threading.Lock()
        self.answers, self.given = {}, collections.Counter()
        self.secrets = {}
        self.deliveries, self.problems = [], []
        self.busy, self.most_busy = collections.Counter(), collections.Counter()
        self.connections = 0
        self.ending = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    # ---- what tests say and ask ----

    def url(self, path):
        return self.base + path

    def on(self, path, *answers):
        """From now on; an answer may be a function of the delivery."""
        with self.lock:
            self.answers[path] = list(answers)
            self.given[path] = 0

    def trust(self, path, *secrets):
        """Deliveries of the path have to verify with each of these (secrets or public keys)."""
        with self.lock:
            self.secrets[path] = list(secrets)

    def of(self, path, **headers):
        """The deliveries of a path so far; headers: underscores for dashes."""
        with self.lock:
            return [d for d in self.deliveries if d.path == path
                    and all(d.headers.get(name.replace("_", "-")) == value for name, value in headers.items())]

    def wait(self, path, count=1, seconds=20, **headers):
        """The deliveries of a path when there are at least `count`."""
        def enough():
            found = self.of(path, **headers)
            return found if len(found) >= count else None
        return wait_until(enough, f"{count} deliveries at {path} (there are {len(self.of(path))})", seconds)

    def wait_type(self, path, kind, count=1, seconds=20):
        """The events of a type at a path, each once, when there are `count`."""
        def enough():
            found = {d.id: d.event for d in self.of(path) if d.event["type"] == kind}
            return list(found.values()) if len(found) >= count else None
        return wait_until(enough, f"{count} {kind} at {path}", seconds)

    def check(self):
        assert not self.problems, "\n".join(self.problems[:5])

    def close(self):
        self.ending.set()
        self.listener.close()

    # ---- the server ----

    def accept(self):
        while not self.ending.is_set():
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(plain, self.connections), daemon=True).start()

    def serve(self, plain, number):
        with contextlib.suppress(OSError, Gone), plain:
            plain.settimeout(HOLD_SECONDS)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = self.context.wrap_socket(plain, server_side=True) if self.context else plain
            with client:
                reader = client.makefile("rb")
                while self.one(plain, client, reader, number):
                    pass

    def one(self, plain, client, reader, number):
        """One request; False ends the connection."""
        delivery = self.read(reader, number)
        if delivery is None:
            return False
        path = delivery.path
        with self.lock:
            self.busy[path] += 1
            self.most_busy[path] = max(self.most_busy[path], self.busy[path])
            answer = self.choose(path)
            secrets = self.secrets.get(path, [])
            self.deliveries.append(delivery)
        self.examine(delivery, secrets)
        if callable(answer):
            answer = self.asked(answer, delivery)
        delivery.answered = answer
        try:
            return self.say(plain, client, delivery, answer)
        finally:
            delivery.ended_at = time.time()
            with self.lock:
                self.busy[path] -= 1

    def asked(self, answer, delivery):
        try:
            return answer(delivery)
        except Exception as error:  # pylint: disable=broad-except; told by check()
            self.problem(delivery.path, repr(error))
            return Answer(how="close")

    def choose(self, path):
        answers = self.answers.get(path)
        if not answers:
            return Answer()
        turn = min(self.given[path], len(answers) - 1)
        self.given[path] += 1
        return answers[turn]

    def read(self, reader, number):
        line = reader.readline(65536)
        if not line:
            return None
        method, path, version = line.decode("latin-1").split()
        headers = {}
        while True:
            line = reader.readline(65536)
            if line in (b"\r\n", b""):
                break
            name, value = line.decode("latin-1").rstrip("\r\n").split(":", 1)
            if name.lower() in headers:
                self.problem(path, f"the header {name} comes twice")
            headers[name.lower()] = value.strip()
        if headers.get("expect"):
            self.problem(path, "it expects a 100")
        body = reader.read(int(headers.get("content-length", "0")))
        if len(body) < int(headers.get("content-length", "0")):
            return None
        if (method, version) != ("POST", "HTTP/1.1"):
            self.problem(path, f"{method} {version}")
        return Delivery(path, headers, body, time.time(), number)

    def problem(self, path, words):
        with self.lock:
            self.problems.append(f"{path}: {words}")

    def examine(self, delivery, secrets):
        """What holds of every delivery."""
        for name, pattern in REQUIRED.items():
            if not re.fullmatch(pattern, delivery.headers.get(name, "")):
                self.problem(delivery.path, f"{name}: {delivery.headers.get(name)!r}")
        try:
            event = delivery.event
            assert list(event) == ["id", "type", "timestamp", "organization_id", "connection_id", "data"], list(event)
            assert event["id"] == delivery.headers["webhook-id"], "another id in body and header"
            for secret in secrets:
                verify(secret, delivery.headers, delivery.body, delivery.at)
        except (AssertionError, KeyError, ValueError) as error:
            self.problem(delivery.path, f"{delivery.headers.get('webhook-id')}: {error!r}")

    # ---- answers ----

    def say(self, plain, client, delivery, answer):
        if answer.after:
            self.hold(plain, answer.after)
        if answer.how == "hang":
            self.hold(plain, HOLD_SECONDS)
            return False
        if answer.how == "close":
            return False
        if answer.how == "reset":
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if answer.how == "answer":
            self.send(client, delivery, self.head(answer) + answer.body)
            return True
        if answer.how == "raw":
            self.send(client, delivery, answer.body)
            return False
        self.flood(plain, client, delivery, answer)
        return False

    @staticmethod
    def head(answer):
        headers = dict(answer.headers)
        if answer.status not in (204, 304):
            headers.setdefault("Content-Length", str(len(answer.body)))
        lines = [f"HTTP/1.1 {answer.status} Test", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def flood(self, plain, client, delivery, answer):
        """Goes on until the other side has had enough."""
        first, more, pause = {
            "drip": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x", 0.2),
            "endless_headers": (b"HTTP/1.1 200 OK\r\n", b"X-Filler: " + b"y" * 1000 + b"\r\n", 0),
            "huge": (b"HTTP/1.1 %d OK\r\nContent-Length: 10000000000\r\n\r\n" % answer.status, b"z" * 65536, 0),
        }[answer.how]
        self.send(client, delivery, first)
        until = time.monotonic() + HOLD_SECONDS
        while time.monotonic() < until and not self.ending.is_set():
            self.send(client, delivery, more)
            if pause:
                self.hold(plain, pause)

    @staticmethod
    def send(client, delivery, data):
        client.sendall(data)
        delivery.sent += len(data)

    def hold(self, plain, seconds):
        """Wait, but not longer than the other side does."""
        until = time.monotonic() + seconds
        while not self.ending.is_set():
            left = until - time.monotonic()
            if left <= 0:
                return
            plain.settimeout(min(left, 0.5))
            try:
                if plain.recv(1, socket.MSG_PEEK) == b"":
                    raise Gone
                self.ending.wait(min(left, 0.05))  # it says more: wait without looking
            except TimeoutError:
                pass
            finally:
                plain.settimeout(HOLD_SECONDS)
        raise Gone
