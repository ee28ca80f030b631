"""Standard Webhooks as a receiver has to check them, written from the standard and with other libraries than
the product's: hmac of Python, ed25519 of openssl."""
import base64
import hashlib
import hmac
import pathlib
import subprocess
import tempfile

TOLERANCE = 300  # seconds that a timestamp may be off
DER_ED25519 = bytes.fromhex("302a300506032b6570032100")  # what stands before the key in SubjectPublicKeyInfo


class Refused(AssertionError):
    """The signature is missing, wrong, or too old."""


def signed_content(headers, body):
    return f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body


def hmac_signature(secret, headers, body):
    assert secret.startswith("whsec_"), "not a secret of HMAC"
    key = base64.b64decode(secret[len("whsec_"):], validate=True)
    return base64.b64encode(hmac.new(key, signed_content(headers, body), hashlib.sha256).digest()).decode()


def signatures(headers, version):
    """The values of one version ("v1", "v1a") among webhook-signature's."""
    found = [word.split(",", 1) for word in headers["webhook-signature"].split(" ")]
    assert all(len(word) == 2 for word in found), headers["webhook-signature"]
    return [value for kind, value in found if kind == version]


def check_time(headers, now):
    if abs(now - int(headers["webhook-timestamp"])) > TOLERANCE:
        raise Refused(f"the timestamp {headers['webhook-timestamp']} is not near {now:.0f}")


def verify_hmac(secret, headers, body, now):
    """Raises Refused unless one of the signatures is this secret's."""
    check_time(headers, now)
    want = hmac_signature(secret, headers, body)
    if not any(hmac.compare_digest(want, got) for got in signatures(headers, "v1")):
        raise Refused(f"no signature of {headers['webhook-id']} is this secret's")


def verify_ed25519(public_key, headers, body, now):
    """The same with "whpk_...", by the openssl command."""
    check_time(headers, now)
    assert public_key.startswith("whpk_"), "not a public key"
    raw = base64.b64decode(public_key[len("whpk_"):], validate=True)
    assert len(raw) == 32
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory)
        (place / "key.der").write_bytes(DER_ED25519 + raw)
        (place / "content").write_bytes(signed_content(headers, body))
        for value in signatures(headers, "v1a"):
            (place / "signature").write_bytes(base64.b64decode(value, validate=True))
            done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey",
                                   place / "key.der", "-rawin", "-in", place / "content", "-sigfile", place / "signature"],
                                  capture_output=True, check=False)
            if done.returncode == 0:
                return
    raise Refused(f"no signature of {headers['webhook-id']} is this key's")


def verify(secret, headers, body, now):
    """secret: "whsec_..." or "whpk_..."."""
    (verify_ed25519 if secret.startswith("whpk_") else verify_hmac)(secret, headers, body, now)
