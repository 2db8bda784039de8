"""A larger model for noise, over HTTP: `sagemaker/serve.py` on this machine or another."""

import httpx

from anc.ports import MAX_RESPONSE_BYTES, EndpointUnavailable


class HttpEndpoint:
    """`anc.ports.Endpoint` at an address; "" for none.

    Parameters
    ----------
    url : str
        What `/invocations` follows.
    timeout_s : float
        Waited for the connection, and for each byte.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = f"{url.rstrip('/')}/invocations" if url else ""
        # No proxy: sound goes where the setting says, and nowhere else.
        self._client = httpx.Client(timeout=timeout_s, trust_env=False) if url else None

    @property
    def present(self) -> bool:
        """See `Endpoint.present`."""
        return self._client is not None

    def invoke(self, request: bytes) -> bytes:
        """See `Endpoint.invoke`."""
        if self._client is None:
            raise EndpointUnavailable("there is no endpoint")
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        said = bytearray()
        try:
            with self._client.stream("POST", self._url, content=request, headers=headers) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise EndpointUnavailable(f"HTTP {answer.status_code}")
                for part in answer.iter_bytes():
                    said += part
                    if len(said) > MAX_RESPONSE_BYTES:
                        raise EndpointUnavailable(f"its answer has over {MAX_RESPONSE_BYTES:,} bytes")
        except httpx.HTTPError as fault:
            raise EndpointUnavailable(type(fault).__name__) from fault
        return bytes(said)
