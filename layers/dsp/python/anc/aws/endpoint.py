"""A larger noise classifier on a SageMaker endpoint."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from anc.aws import clients
from anc.ports import MAX_RESPONSE_BYTES, EndpointUnavailable


class SageMakerEndpoint:
    """`anc.ports.Endpoint` on SageMaker.

    Parameters
    ----------
    name : str
        Endpoint name; "" for none.
    timeout_s : float
        Timeout of each read and, up to 1 s, of the connection.
    client : callable
        Returns the client for a timeout in seconds.
    """

    def __init__(
        self, name: str, timeout_s: float, client: Callable[[float], Any] = clients.sagemaker
    ) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._client = client

    @property
    def configured(self) -> bool:
        """See `Endpoint.configured`."""
        return bool(self._name)

    def invoke(self, request: bytes) -> bytes:
        """See `Endpoint.invoke`."""
        if not self._name:
            raise EndpointUnavailable("no endpoint is configured")
        json_type = "application/json"
        try:
            response = self._client(self._timeout_s).invoke_endpoint(
                EndpointName=self._name, Body=request, ContentType=json_type, Accept=json_type
            )
            with response["Body"] as stream:
                body: bytes = stream.read(MAX_RESPONSE_BYTES + 1)
        except (BotoCoreError, ClientError, HTTPError) as fault:
            raise EndpointUnavailable(_reason(fault)) from fault
        if len(body) > MAX_RESPONSE_BYTES:
            raise EndpointUnavailable(f"the response exceeds {MAX_RESPONSE_BYTES:,} bytes")
        return body


def _reason(fault: Exception) -> str:
    if isinstance(fault, ClientError):
        return str(fault.response["Error"]["Code"])
    return type(fault).__name__
