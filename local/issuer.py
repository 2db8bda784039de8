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
from local.folder import PLATFORM_FILES, SIGNING_KEY, UnusableFolder

KEY_BITS = 2048
# SHA-256 of the public half (DER) of a key that was once in this repository, in the default data folder.
# Whoever has a copy of the repository can sign with it.
PUBLISHED_KEY = "6aaa934582ee33d2d9e58342e25538042fc6e4e9795fb3ed149e11eca5674262"


class Issuer:
    """Signs tokens with the data folder's key, and gives out the public half.

    Parameters
    ----------
    data : Path
        The data folder; the key lies in it, readable by the owner alone.

    Raises
    ------
    UnusableFolder
        The key file is damaged, or its key was published.
    """

    def __init__(self, data: Path, settings: Settings) -> None:
        self._settings = settings
        self._key = _load_or_make(data / SIGNING_KEY)
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


def discard_published_key(data: Path) -> str:
    """Remove the key of a data folder if it was published, so that the next `Issuer` makes a new one.

    Call it at the start of a platform, before anybody else reads the key.

    Returns
    -------
    str
        What the owner has to know about the folder's signing key, or "".
    """
    path = data / SIGNING_KEY
    if path.exists() and is_published(_load(path).public_key()):
        path.unlink()
        return (
            f"{data}: made a new signing key, because the old one was published with the source code and"
            " anybody could sign tokens with it; tokens made before are void: sign in again, make new ones,"
            " and look through the people and API keys for any that you did not create"
        )
    if not path.exists() and any((data / name).exists() for name in PLATFORM_FILES):
        return (
            f"{data}: made a new signing key, because there was none; tokens made before are void:"
            " sign in again and make new ones"
        )
    return ""


def is_published(public: rsa.RSAPublicKey) -> bool:
    """Return whether the private half of a key has been in the repository."""
    return hashlib.sha256(_der(public)).hexdigest() == PUBLISHED_KEY


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
    key = _load(path)
    if is_published(key.public_key()):
        raise UnusableFolder(
            f"{path}: this key was published with the source code, and anybody can sign tokens with it;"
            " start the platform again: that makes a new one"
        )
    return key


def _load(path: Path) -> rsa.RSAPrivateKey:
    try:
        stored = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as fault:
        raise UnusableFolder(f"{path}: not a private key in PEM; restore it from a backup") from fault
    if not isinstance(stored, rsa.RSAPrivateKey):
        raise UnusableFolder(f"{path}: not an RSA key; restore it from a backup")
    return stored


def _jwk(public: rsa.RSAPublicKey) -> dict[str, Any]:
    jwk: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(public))
    return jwk


def _thumbprint(public: rsa.RSAPublicKey) -> str:
    return hashlib.sha256(_der(public)).hexdigest()[:16]


def _der(public: rsa.RSAPublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
