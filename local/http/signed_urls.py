"""URLs that carry their own permission: what S3's presigned URLs are, on this machine."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import quote, urlencode

from anc.schemas.refusal import refuse

PREFIX = "/objects/"


class SignedRequest(NamedTuple):
    """What a URL permits: to GET the file as `name`, or to PUT `size` bytes, as a part if numbered."""

    method: str
    key: str
    size: int
    parts: str
    number: int
    name: str


class SignedUrls:
    """Signs and checks URLs below `/objects/`: HMAC-SHA256 over method, key, expiry and all else in them.

    Parameters
    ----------
    secret : bytes
    base : str
        Scheme, host and port.
    clock : callable
        Seconds since the epoch.
    """

    def __init__(self, secret: bytes, base: str, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._base = base
        self._clock = clock

    @classmethod
    def of(cls, folder: Path, base: str) -> Self:
        """Sign with the secret that the folder keeps; it is made when there is none."""
        path = folder / "links.key"
        if not path.exists():
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            part.touch(mode=0o600)
            part.write_bytes(secrets.token_bytes(32))
            part.replace(path)
        return cls(path.read_bytes(), base)

    def get(self, key: str, expires_s: int, name: str) -> str:
        """Return a URL from which the file can be fetched for so many seconds."""
        return self._url(SignedRequest("GET", key, 0, "", 0, name), expires_s)

    def put(self, key: str, size: int, expires_s: int, parts: str = "", number: int = 0) -> str:
        """Return a URL to which exactly `size` bytes can be sent for so many seconds."""
        return self._url(SignedRequest("PUT", key, size, parts, number, ""), expires_s)

    def check(self, method: str, key: str, query: Mapping[str, str]) -> SignedRequest:
        """Return what a request's URL permits.

        Raises
        ------
        Refused
            `forbidden`: the signature is missing, or fits another request, or its time is over.
        """
        try:
            size, number = int(query.get("size", "0")), int(query.get("number", "0"))
            expires = int(query["expires"])
        except (KeyError, ValueError):
            refuse("forbidden", "link: not one of ours")
        permit = SignedRequest(method, key, size, query.get("parts", ""), number, query.get("name", ""))
        if not hmac.compare_digest(self._sign(permit, expires).encode(), query.get("signature", "").encode()):
            refuse("forbidden", "link: its signature does not fit this request")
        if expires < self._clock():
            refuse("forbidden", "link: its time is over; ask for a new one")
        return permit

    def _url(self, permit: SignedRequest, expires_s: int) -> str:
        expires = int(self._clock()) + expires_s
        fields = {name: value for name, value in permit._asdict().items() if value}
        del fields["method"], fields["key"]
        query = urlencode({**fields, "expires": expires, "signature": self._sign(permit, expires)})
        return f"{self._base}{PREFIX}{quote(permit.key)}?{query}"

    def _sign(self, permit: SignedRequest, expires: int) -> str:
        text = "\n".join(quote(str(part), safe="") for part in (*permit, expires))
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()
