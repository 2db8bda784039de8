"""Open WebSockets behind API Gateway."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from anc.aws import clients
from anc.ports import Gone

if TYPE_CHECKING:
    from types_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient


class GatewaySockets:
    """`anc.ports.Sockets` on the management endpoint of a WebSocket API, `https://{api}.../{stage}`."""

    def __init__(
        self, endpoint: str, client: "Callable[[str], ApiGatewayManagementApiClient]" = clients.gateway
    ) -> None:
        self._endpoint = endpoint
        self._client = client

    def post(self, connection: str, text: str) -> None:
        """See `Sockets.post`. At most 128 KB, metered per 32 KB."""
        client = self._client(self._endpoint)
        try:
            client.post_to_connection(ConnectionId=connection, Data=text.encode())
        except client.exceptions.GoneException as fault:
            raise Gone(connection) from fault

    def close(self, connection: str) -> None:
        """See `Sockets.close`."""
        client = self._client(self._endpoint)
        with suppress(client.exceptions.GoneException):
            client.delete_connection(ConnectionId=connection)
