"""Signed URLs for uploads and downloads, like S3's presigned URLs."""

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import quote, urlencode

from itsdangerous import Signer

from anc.schemas.refusal import refuse

PREFIX = "/objects/"


class SignedRequest(NamedTuple):
    """What a URL permits: to GET a file as `name`, or to PUT `size` bytes, as a part if numbered."""

    method: str
    key: str
    size: int
    parts: str
    number: int
    name: str


class SignedUrls:
    """Sign and verify URLs below `/objects/`, with HMAC-SHA256 over all their fields.

    Parameters
    ----------
    secret : bytes
    base : str
        Scheme, host and port.
    clock : callable
        Seconds since the epoch.
    """

    def __init__(self, secret: bytes, base: str, clock: Callable[[], float] = time.time) -> None:
        self._signer = Signer(secret, salt="anc.objects", key_derivation="hmac", digest_method=hashlib.sha256)
        self._base = base
        self._clock = clock

    @classmethod
    def of(cls, folder: Path, base: str) -> Self:
        """Return an instance with the secret stored in a folder; creates it when it is missing."""
        path = folder / "links.key"
        if not path.exists():
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            part.touch(mode=0o600)
            part.write_bytes(secrets.token_bytes(32))
            part.replace(path)
        return cls(path.read_bytes(), base)

    def get(self, key: str, expires_s: int, name: str) -> str:
        """Return a download URL that is valid for so many seconds."""
        return self._url(SignedRequest("GET", key, 0, "", 0, name), expires_s)

    def put(self, key: str, size: int, expires_s: int, parts: str = "", number: int = 0) -> str:
        """Return an upload URL for exactly `size` bytes that is valid for so many seconds."""
        return self._url(SignedRequest("PUT", key, size, parts, number, ""), expires_s)

    def check(self, method: str, key: str, query: Mapping[str, str]) -> SignedRequest:
        """Return what a request's URL permits.

        Raises
        ------
        Refused
            `forbidden`: the signature is missing or invalid, or the URL has expired.
        """
        try:
            size, number = int(query.get("size", "0")), int(query.get("number", "0"))
            expires = int(query["expires"])
        except (KeyError, ValueError):
            refuse("forbidden", "link: expires, size or number is missing or invalid")
        permit = SignedRequest(method, key, size, query.get("parts", ""), number, query.get("name", ""))
        if not self._signer.verify_signature(_signed_text(permit, expires), query.get("signature", "")):
            refuse("forbidden", "link: the signature does not match this request")
        if expires < self._clock():
            refuse("forbidden", "link has expired; request a new one")
        return permit

    def _url(self, permit: SignedRequest, expires_s: int) -> str:
        expires = int(self._clock()) + expires_s
        fields = {name: value for name, value in permit._asdict().items() if value}
        del fields["method"], fields["key"]
        signature = self._signer.get_signature(_signed_text(permit, expires)).decode()
        query = urlencode({**fields, "expires": expires, "signature": signature})
        return f"{self._base}{PREFIX}{quote(permit.key)}?{query}"


def _signed_text(permit: SignedRequest, expires: int) -> str:
    return "\n".join(quote(str(part), safe="") for part in (*permit, expires))
