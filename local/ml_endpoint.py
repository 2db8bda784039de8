"""A larger noise classifier over HTTP, for example `sagemaker/serve.py`."""

from typing import TYPE_CHECKING

from anc.ports import MAX_RESPONSE_BYTES, EndpointUnavailable

if TYPE_CHECKING:
    import httpx


class HttpEndpoint:
    """`anc.ports.Endpoint` at a URL; "" for none.

    Parameters
    ----------
    url : str
        Base URL, without `/invocations`.
    timeout_s : float
        Timeout of the connection and of each read.
    """

    _client: "httpx.Client | None"

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = f"{url.rstrip('/')}/invocations" if url else ""
        self._client = None
        if url:
            import httpx  # noqa: PLC0415  slow, and most platforms have no endpoint

            # No proxy: sound is only sent to the configured URL.
            self._client = httpx.Client(timeout=timeout_s, trust_env=False)

    @property
    def configured(self) -> bool:
        """See `Endpoint.configured`."""
        return self._client is not None

    def invoke(self, request: bytes) -> bytes:
        """See `Endpoint.invoke`."""
        if self._client is None:
            raise EndpointUnavailable("no endpoint is configured")
        import httpx  # noqa: PLC0415  loaded with the client

        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        body = bytearray()
        try:
            with self._client.stream("POST", self._url, content=request, headers=headers) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise EndpointUnavailable(f"HTTP {answer.status_code}")
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > MAX_RESPONSE_BYTES:
                        raise EndpointUnavailable(f"the response exceeds {MAX_RESPONSE_BYTES:,} bytes")
        except httpx.HTTPError as fault:
            raise EndpointUnavailable(type(fault).__name__) from fault
        return bytes(body)
