"""A client of the API for tests. Every response is held against what all responses promise:
a request id, the version header, and errors as problem documents."""
import re

import requests

CODE = re.compile(r"[A-Z][A-Z0-9_]+$")
REQUEST_ID = re.compile(r"req_[0-9a-z]{26}$")
ORIGINS = ("request", "penstock", "connected_system")


class Problem(AssertionError):
    """An answer that was not the one asked for."""

    def __init__(self, response):
        self.response = response
        super().__init__(f"{response.request.method} {response.url}: {response.status_code} {response.text[:600]}")


def check_problem(response):
    """RFC 9457 with the members that every error has."""
    assert response.headers["Content-Type"].startswith("application/problem+json"), response.headers
    body = response.json()
    for name in ("type", "title", "status", "detail", "code", "origin", "request_id", "retryable"):
        assert name in body, f"a problem without '{name}': {body}"
    assert body["status"] == response.status_code, body
    assert CODE.match(body["code"]), body
    assert body["origin"] in ORIGINS, body
    assert body["request_id"] == response.headers["X-Request-Id"], body
    if response.status_code in (429, 503):
        assert int(response.headers["Retry-After"]) >= 0
    return body


class Api:
    """base: "http://127.0.0.1:1234"; token: an API key or connection token, or None."""

    def __init__(self, base, token=None, timeout=30):
        self.base = base
        self.token = token
        self.timeout = timeout
        self.session = requests.Session()
        self.session.trust_env = False

    def with_token(self, token):
        return Api(self.base, token, self.timeout)

    def call(self, method, path, *, headers=None, **more):
        """One request; returns the response, checked, whatever its status."""
        headers = dict(headers or {})
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.token}"
        more.setdefault("timeout", self.timeout)
        response = self.session.request(method, self.base + path, headers=headers,
                                        allow_redirects=False, **more)
        assert REQUEST_ID.match(response.headers.get("X-Request-Id", "")), response.headers
        if path.startswith("/v1"):
            assert response.headers.get("Penstock-Version"), response.headers
        if response.status_code >= 400 and method != "HEAD":
            check_problem(response)
        return response

    def ok(self, method, path, status=None, **more):
        """The JSON of an answer that has to be a success (or exactly `status`)."""
        response = self.call(method, path, **more)
        wanted = response.status_code == status if status else response.status_code < 300
        if not wanted:
            raise Problem(response)
        return response.json() if response.content else None

    def get(self, path, **more):
        return self.ok("GET", path, **more)

    def post(self, path, json=None, **more):
        return self.ok("POST", path, json=json, **more)

    def patch(self, path, json=None, **more):
        return self.ok("PATCH", path, json=json, **more)

    def delete(self, path, **more):
        return self.ok("DELETE", path, **more)

    def fails(self, method, path, status, code, **more):
        """The problem document of a call that has to fail so."""
        response = self.call(method, path, **more)
        if response.status_code != status:
            raise Problem(response)
        body = response.json()
        assert body["code"] == code, body
        return body

    def pages(self, path, **params):
        """Every item of a list, walking its cursor."""
        cursor = None
        while True:
            page = self.get(path, params={**params, **({"cursor": cursor} if cursor else {})})
            yield from page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return
