"""The edition's own token issuer: a key made at first start, tokens that `anc.services.identity` verifies."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from anc.services.identity import ALGORITHM, Role
from anc.settings import Settings

KEY_BITS = 2048


class Issuer:
    """Signs tokens with the data folder's key, and gives out the public half.

    Parameters
    ----------
    data : Path
        The data folder; the key lies in it, readable by the owner alone.
    """

    def __init__(self, data: Path, settings: Settings) -> None:
        self._settings = settings
        self._key = _load_or_make(data / "issuer.pem")
        self._public = self._key.public_key()
        self._kid = _thumbprint(self._public)

    def issue(self, user: str, role: Role, hours: float = 12.0) -> str:
        """Return a bearer token for a user in a role."""
        now = int(time.time())
        claims = {
            "sub": user,
            "role": role,
            "iss": self._settings.token_issuer,
            "aud": self._settings.token_audience,
            "iat": now,
            "exp": now + int(hours * 3600),
        }
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._kid})

    def key_for(self, token: str) -> Any:
        """See `anc.ports.SigningKeys`."""
        if jwt.get_unverified_header(token).get("kid") != self._kid:
            raise LookupError("signed with a key that this issuer does not have")
        return self._public

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JSON Web Key Set."""
        return {"keys": [{**_jwk(self._public), "kid": self._kid, "use": "sig", "alg": ALGORITHM}]}


def _load_or_make(path: Path) -> rsa.RSAPrivateKey:
    if not path.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        try:
            os.link(part, path)  # fails if another process was first: then its key is the one
        except FileExistsError:
            pass
        finally:
            part.unlink()
    stored = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(stored, rsa.RSAPrivateKey):
        raise TypeError(f"{path.name}: not an RSA key")
    return stored


def _jwk(public: rsa.RSAPublicKey) -> dict[str, Any]:
    jwk: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(public))
    return jwk


def _thumbprint(public: rsa.RSAPublicKey) -> str:
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]
