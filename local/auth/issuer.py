"""The platform's own token issuer; `anc.services.access.identity` verifies its tokens.

Files in the data folder, readable by the owner only:

- `issuer.pem`: the private signing key, created at the first start.
- `retired.json`: public keys from before a rotation, each with the time until which it is valid.
"""

import fcntl
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jwt
from aws_lambda_powertools import Logger
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from anc.lifetimes import HOUR_S, MAX_TOKEN_HOURS
from anc.services.access.identity import ALGORITHM, CLOCK_SKEW_S, Role
from anc.settings import Settings
from local.data_folder import PLATFORM_FILES, SIGNING_KEY, UnusableFolder, give_to_owner

KEY_BITS = 2048
# SHA-256 of the public key (DER) of a private key that was once published in this repository.
# Anyone with a copy of the repository can sign with it.
PUBLISHED_KEY = "6aaa934582ee33d2d9e58342e25538042fc6e4e9795fb3ed149e11eca5674262"
TICKS = 1024  # resolution of times per second; a power of two is exact in JSON

logger = Logger(service="issuer")


class _Retired(NamedTuple):
    public: rsa.RSAPublicKey
    until: float


class _Keys(NamedTuple):
    """Content of the two files, and their identity for detecting changes."""

    private: rsa.RSAPrivateKey
    kid: str
    retired: Mapping[str, _Retired]
    seen: tuple[Any, ...]


class Issuer:
    """Sign tokens with the data folder's key, and publish the public keys.

    A rotation by another process takes effect at the next token.

    Parameters
    ----------
    data : Path
        The data folder.
    settings : Settings
    clock : callable
        Seconds since the epoch.

    Raises
    ------
    UnusableFolder
        When a key file is damaged, or its key was published.
    """

    def __init__(self, data: Path, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._path = data / SIGNING_KEY
        self._retired_path = data / "retired.json"
        if not self._path.exists():
            _store_new(self._path)
        self._loaded = self._load()

    def issue(self, user: str, role: Role, hours: float = MAX_TOKEN_HOURS) -> str:
        """Return a bearer token for a user in a role, for at most `MAX_TOKEN_HOURS`."""
        if not 0 < hours <= MAX_TOKEN_HOURS:
            raise ValueError(f"hours: {hours:g}, must be above 0 and at most {MAX_TOKEN_HOURS:g}")
        keys, now = self._keys(), math.ceil(self._clock() * TICKS) / TICKS
        claims = {
            "sub": user,
            "role": role,
            "iss": self._settings.token_issuer,
            "aud": self._settings.token_audience,
            # Fractions of a second distinguish tokens from before and after a change of roles (RFC 7519,
            # section 2). They are rounded up, so that a later token never counts as an earlier one.
            "iat": now,
            "exp": now + hours * HOUR_S,
        }
        return jwt.encode(claims, keys.private, ALGORITHM, headers={"kid": keys.kid})

    def key_for(self, token: str) -> Any:
        """See `anc.ports.SigningKeys`."""
        kid, keys = jwt.get_unverified_header(token).get("kid"), self._keys()
        if kid == keys.kid:
            return keys.private.public_key()
        retired = keys.retired.get(str(kid))
        if retired is None or retired.until < self._clock():
            raise LookupError("the token was signed with an unknown key")
        return retired.public

    def jwks(self) -> dict[str, Any]:
        """Return the valid public keys as a JSON Web Key Set, the current one first."""
        keys, now = self._keys(), self._clock()
        valid = {keys.kid: keys.private.public_key()}
        valid |= {kid: retired.public for kid, retired in keys.retired.items() if retired.until >= now}
        return {
            "keys": [
                {**_jwk(public), "kid": kid, "use": "sig", "alg": ALGORITHM} for kid, public in valid.items()
            ]
        }

    def rotate(self, at_once: bool = False) -> tuple[str, float]:
        """Replace the signing key.

        The old private key is deleted. Its public key stays valid until its last token has expired.

        Parameters
        ----------
        at_once : bool
            Reject all tokens of earlier keys at once, as after a leak: all users must sign in again.

        Returns
        -------
        tuple of str and float
            The new key's id, and the time until which earlier keys are valid, in seconds since the epoch.
        """
        with _exclusive(self._path):
            old, now = self._keys(), self._clock()
            until = now if at_once else now + MAX_TOKEN_HOURS * HOUR_S + CLOCK_SKEW_S
            public = old.private.public_key()
            retired = {kid: key for kid, key in old.retired.items() if key.until > now}
            retired = {} if at_once else retired | {old.kid: _Retired(public, until)}
            listed = [{"kid": kid, "until": key.until, **_jwk(key.public)} for kid, key in retired.items()]
            # Written first: after an interruption the old key is both current and retired
            _replace(self._retired_path, json.dumps(listed).encode())
            _store_new(self._path, replace=True)
            return self._keys().kid, until

    def _keys(self) -> _Keys:
        seen = self._seen()
        if seen != self._loaded.seen:
            try:
                self._loaded = self._load()
            except (OSError, UnusableFolder):  # files are being replaced: continue with the loaded keys
                logger.exception("the signing keys cannot be read")
                self._loaded = self._loaded._replace(seen=seen)
        return self._loaded

    def _seen(self) -> tuple[Any, ...]:
        return tuple(_identity(path) for path in (self._path, self._retired_path))

    def _load(self) -> _Keys:
        seen = self._seen()  # before reading, so that a change in between is detected next time
        private = _read(self._path)
        if is_published(private.public_key()):
            raise UnusableFolder(
                f"{self._path}: this key was published with the source code, so anyone can sign tokens with"
                " it; restart the platform to create a new one"
            )
        retired = _read_retired(self._retired_path)
        return _Keys(private, _thumbprint(private.public_key()), retired, seen)


def discard_published_key(data: Path) -> str:
    """Delete the signing key of a data folder if it was published; the next `Issuer` creates a new one.

    Call it at the start of a platform, before the key is read.

    Returns
    -------
    str
        Notice for the owner about the signing key, or "".
    """
    path = data / SIGNING_KEY
    if path.exists() and is_published(_read(path).public_key()):
        path.unlink()
        return (
            f"{data}: created a new signing key, because the old one was published with the source code and"
            " anyone could sign tokens with it; earlier tokens are invalid: sign in again, create new tokens,"
            " and check the users and API keys for any that you did not create"
        )
    if not path.exists() and any((data / name).exists() for name in PLATFORM_FILES):
        return (
            f"{data}: created a new signing key, because there was none; earlier tokens are invalid:"
            " sign in again and create new tokens"
        )
    return ""


def is_published(public: rsa.RSAPublicKey) -> bool:
    """Return whether the private key was published in the repository."""
    return hashlib.sha256(_der(public)).hexdigest() == PUBLISHED_KEY


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Lock the key against a rotation by another process."""
    with open(os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600), "w") as lock:
        give_to_owner(lock.fileno(), path.parent)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _store_new(path: Path, replace: bool = False) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if replace:
        _replace(path, pem)
        return
    part = _part(path, pem)
    try:
        os.link(part, path)  # fails if another process was faster; its key is used then
    except FileExistsError:
        pass
    finally:
        part.unlink()


def _replace(path: Path, content: bytes) -> None:
    _part(path, content).replace(path)


def _part(path: Path, content: bytes) -> Path:
    """Write a temporary file beside `path`, readable by the owner only."""
    part = path.with_suffix(f".{os.getpid()}")
    part.unlink(missing_ok=True)  # left by a killed process
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        give_to_owner(file.fileno(), path.parent)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return part


def _identity(path: Path) -> tuple[int, ...]:
    try:
        about = path.stat()
    except FileNotFoundError:
        return ()
    return about.st_ino, about.st_mtime_ns, about.st_size


def _jwk(public: rsa.RSAPublicKey) -> dict[str, Any]:
    jwk: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(public))
    return jwk


def _public(jwk: Mapping[str, Any]) -> rsa.RSAPublicKey:
    public = jwt.algorithms.RSAAlgorithm.from_jwk(dict(jwk))
    assert isinstance(public, rsa.RSAPublicKey)
    return public


def _thumbprint(public: rsa.RSAPublicKey) -> str:
    return hashlib.sha256(_der(public)).hexdigest()[:16]


def _der(public: rsa.RSAPublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _read(path: Path) -> rsa.RSAPrivateKey:
    try:
        stored = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as fault:
        raise UnusableFolder(
            f"{path}: must be a private key in PEM format; restore it from a backup"
        ) from fault
    if not isinstance(stored, rsa.RSAPrivateKey):
        raise UnusableFolder(f"{path}: must be an RSA key; restore it from a backup")
    return stored


def _read_retired(path: Path) -> Mapping[str, _Retired]:
    try:
        listed = json.loads(path.read_text())
        return {each["kid"]: _Retired(_public(each), float(each["until"])) for each in listed}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, jwt.InvalidKeyError) as fault:
        raise UnusableFolder(
            f"{path}: must be a list of keys; restore it, or delete it to reject the tokens of earlier keys"
        ) from fault
