"""Invalid tokens, keys and links, by the kind of defect."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from anc.settings import Settings
from local.auth.issuer import Issuer
from tests.attacks.target import Target, now

KIDS = ("", "../issuer.pem", "../../../../dev/null", "0", "' OR 1=1 --", "http://127.0.0.1/jwks.json", "\0")
HOURS_13 = 13 * 3600


def _part(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _claims(**changed: Any) -> dict[str, Any]:
    claims = {"sub": "mallory", "role": "admin", "iss": "anc-local", "aud": "anc"}
    return {**claims, "iat": now(), "exp": now() + 600, **changed}


def tokens(target: Target, folder: Path) -> dict[str, str]:
    """Return forged, foreign and outdated tokens."""
    keys, stranger = target.issuer._keys(), Issuer(folder, Settings())._keys()
    good = target.token("mallory")
    head, _, signature = good.split(".")

    def signed(kid: Any = keys.kid, key: Any = keys.private, more: Any = None, **changed: Any) -> str:
        return jwt.encode(_claims(**changed), key, "RS256", headers={"kid": kid, **(more or {})})

    def unsigned(algorithm: str) -> str:
        return f"{_part({'alg': algorithm, 'typ': 'JWT', 'kid': keys.kid})}.{_part(_claims())}."

    public = keys.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hashed = f"{_part({'alg': 'HS256', 'kid': keys.kid})}.{_part(_claims())}"
    mac = base64.urlsafe_b64encode(hmac.digest(public, hashed.encode(), hashlib.sha256)).rstrip(b"=").decode()
    own_jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(stranger.private.public_key()))
    found = {
        "expired": signed(iat=now() - 7200, exp=now() - 3600),
        "not valid yet": signed(nbf=now() + 3600),
        "valid for too long": signed(exp=now() + HOURS_13),
        "without an expiry": signed(exp=None),
        "of another issuer": signed(iss="elsewhere"),
        "for another audience": signed(aud="elsewhere"),
        "without a subject": signed(sub=""),
        "signed by a stranger": signed(key=stranger.private),
        "signed by a stranger who says so": signed(stranger.kid, stranger.private),
        "key brought along": signed(stranger.kid, stranger.private, {"jwk": own_jwk}),
        "key to be fetched": signed(stranger.kid, stranger.private, {"jku": "http://127.0.0.1:1/jwks.json"}),
        "claims of another token": f"{head}.{_part(_claims())}.{signature}",
        "signature left out": f"{head}.{_part(_claims())}.",
        "public key as a shared secret": f"{hashed}.{mac}",
        "header that is no object": f"{_part([])}.{_part(_claims())}.{signature}",
        "header that nests": f"{base64.urlsafe_b64encode(b'[' * 2000).decode()}.{_part(_claims())}.x",
    }
    found |= {f"alg {name}": unsigned(name) for name in ("none", "None", "NONE", "nOnE", "")}
    return found | {f"kid {kid!r}": signed(kid, stranger.private) for kid in KIDS}


def keys(target: Target) -> dict[str, str]:
    """Return API keys that are revoked, mixed from two, or cut short."""
    token = target.token("key-owner")

    def make(name: str) -> dict[str, Any]:
        answer = target.call("POST", "/api/users/me/keys", token, {"name": name})
        assert answer.status == 201, answer.body
        return answer.document()

    revoked, first, second = make("revoked"), make("first"), make("second")
    assert target.call("DELETE", f"/api/users/me/keys/{revoked['id']}", token).status == 204
    secret = str(second["key"])
    return {
        "revoked key": str(revoked["key"]),
        "key with another's secret": secret.replace(second["id"], first["id"]),
        "key cut short": secret[:-1],
        "key without its secret": f"anc_{first['id']}_",
        "id of a key": str(first["id"]),
        "key that never was": f"anc_{'0' * 16}_{'0' * 43}",
    }
