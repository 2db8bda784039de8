"""A larger model for noise, on a SageMaker endpoint."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from anc.aws import clients
from anc.ports import MAX_RESPONSE_BYTES, EndpointUnavailable


class SageMakerEndpoint:
    """`anc.ports.Endpoint` by its name; "" for none.

    Parameters
    ----------
    name : str
    timeout_s : float
        Waited for the connection (at most 1 s of it), and for each byte.
    client : callable
        Makes the client for that time limit.
    """

    def __init__(
        self, name: str, timeout_s: float, client: Callable[[float], Any] = clients.sagemaker
    ) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._client = client

    @property
    def present(self) -> bool:
        """See `Endpoint.present`."""
        return bool(self._name)

    def invoke(self, request: bytes) -> bytes:
        """See `Endpoint.invoke`."""
        if not self._name:
            raise EndpointUnavailable("there is no endpoint")
        kind = "application/json"
        try:
            answer = self._client(self._timeout_s).invoke_endpoint(
                EndpointName=self._name, Body=request, ContentType=kind, Accept=kind
            )
            with answer["Body"] as body:
                said: bytes = body.read(MAX_RESPONSE_BYTES + 1)
        except (BotoCoreError, ClientError, HTTPError) as fault:
            raise EndpointUnavailable(_reason(fault)) from fault
        if len(said) > MAX_RESPONSE_BYTES:
            raise EndpointUnavailable(f"its answer has over {MAX_RESPONSE_BYTES:,} bytes")
        return said


def _reason(fault: Exception) -> str:
    if isinstance(fault, ClientError):
        return str(fault.response["Error"]["Code"])
    return type(fault).__name__
