"""A webhook receiver with nothing but Python's standard library.

    WEBHOOK_SECRET=whsec_... PORT=8000 python3 receiver.py
"""
import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE = 300  # seconds
seen = set()  # in real life a unique column in your database


def is_genuine(headers, body):
    """Whether the sender knows the secret, and the message is not an old one sent again."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > TOLERANCE:
        return False
    content = f"{message_id}.{timestamp}.".encode() + body
    want = "v1," + base64.b64encode(hmac.new(SECRET, content, hashlib.sha256).digest()).decode()
    # Several while a secret is rotated; one has to fit.
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(want.encode(), each.encode()) for each in given)


def handle(event):
    """Put it on a queue of yours: what takes long does not belong into the answer's time."""
    print(event["type"], event["id"], json.dumps(event["data"])[:200], flush=True)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        genuine = is_genuine(self.headers, body)
        if genuine and self.headers["webhook-id"] not in seen:
            handle(json.loads(body))
            seen.add(self.headers["webhook-id"])
        self.send_response(204 if genuine else 401)
        if not genuine:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Receiver).serve_forever()
