"""Device shadows on AWS IoT."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from anc.aws import clients, faults
from anc.schemas.refusal import Refused
from anc.schemas.shadow import DOCUMENT_LIMIT, SHADOW

if TYPE_CHECKING:
    from types_boto3_iot_data import IoTDataPlaneClient


class IotShadows:
    """`anc.ports.Shadows` on AWS IoT's device shadow service."""

    def __init__(self, client: "Callable[[], IoTDataPlaneClient]" = clients.iot_data) -> None:
        self._client = client

    def get(self, thing: str) -> dict[str, Any] | None:
        """See `Shadows.get`."""
        client = self._client()
        try:
            answer = client.get_thing_shadow(thingName=thing, shadowName=SHADOW)
        except client.exceptions.ResourceNotFoundException:
            return None
        with faults.reading(thing):
            document: dict[str, Any] = json.loads(answer["payload"].read())
        return document

    def update(self, thing: str, desired: Mapping[str, Any]) -> None:
        """See `Shadows.update`. Raises Refused, `too_large`, and changes nothing above the size limit."""
        payload = json.dumps({"state": {"desired": desired}}).encode()
        client = self._client()
        try:
            client.update_thing_shadow(thingName=thing, shadowName=SHADOW, payload=payload)
        except client.exceptions.RequestEntityTooLargeException as fault:
            raise Refused("too_large", f"shadow: must have at most {DOCUMENT_LIMIT:,} bytes") from fault
