"""HTTP requests of the client: authentication, encoding, errors and pages."""

from collections.abc import Iterator
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import quote

import httpx

from anc_client.codec import encode
from anc_client.refusal import ApiError, api_error, decode_answer


class Page(Protocol):
    """One page of a list."""

    @property
    def next(self) -> str | None:
        """Value of `after` for the next page; None for the last page."""


A = TypeVar("A")
P = TypeVar("P", bound=Page)
TIMEOUT_S = 40.0  # the platform's own limit is 29 s, plus 10 s for a cold start
PAGE_LIMIT = 50


class BaseClient:
    """Base class of `Client`, which describes the parameters."""

    def __init__(
        self,
        url: str,
        token: str = "",
        transport: httpx.BaseTransport | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, transport=transport, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _pages(self, kind: type[P], path: str, **query: Any) -> Iterator[P]:
        after: str | None = ""
        while after is not None:
            page = self._request(kind, "GET", path, limit=PAGE_LIMIT, **query, after=after)
            yield page
            after = page.next

    def _request(self, kind: type[A], method: str, path: str, body: object = None, **query: Any) -> A:
        return decode_answer(kind, self._send(method, path, body, **query))

    def _remove(self, path: str) -> None:
        """Delete a resource; a missing resource is not an error."""
        try:
            self._send("DELETE", path)
        except ApiError as refusal:
            if not refusal.code.startswith("unknown_"):
                raise

    def _send(self, method: str, path: str, body: object = None, **query: Any) -> httpx.Response:
        content, headers = None, {}
        if isinstance(body, bytes):
            content, headers = body, {"Content-Type": "application/octet-stream"}
        elif body is not None:
            content, headers = encode(body), {"Content-Type": "application/json"}
        answer = self._http.request(method, path, content=content, headers=headers, params=query)
        if not answer.is_success:
            raise api_error(answer)
        return answer


def path_segment(name: str) -> str:
    """Return a name, quoted as one segment of a URL path."""
    return quote(name, safe="")
