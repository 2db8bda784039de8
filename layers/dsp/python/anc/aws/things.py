"""Identities of headsets in AWS IoT's registry."""

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

from anc.aws import clients
from anc.ports import Credentials
from anc.schemas.refusal import Refused, refuse
from anc.schemas.shadow import SHADOW

if TYPE_CHECKING:
    from types_boto3_iot_data import IoTDataPlaneClient

MQTT_TLS_PORT = 8883
DETACHING_S = (0.2, 0.5, 1.0, 2.0)  # a certificate is detached asynchronously, and a thing that has one stays


class IotThings:
    """`anc.ports.Things` on AWS IoT.

    Parameters
    ----------
    policy : str
        Name of the one policy that every headset's certificate gets. It is bound to the thing's name by a
        policy variable, so that nothing is made per headset.
    """

    def __init__(
        self,
        policy: str,
        client: Callable[[], Any] = clients.iot,
        data: "Callable[[], IoTDataPlaneClient]" = clients.iot_data,
    ) -> None:
        self._policy = policy
        self._client = client
        self._data = data

    def create(self, thing: str) -> Credentials:
        """See `Things.create`. The certificate stays inactive while it is bound to thing and policy."""
        iot = self._client()
        with suppress(iot.exceptions.ResourceAlreadyExistsException):  # made by a claim, with a thing type
            iot.create_thing(thingName=thing)
        made = iot.create_keys_and_certificate(setAsActive=False)
        certificate = made["certificateArn"]
        iot.attach_thing_principal(thingName=thing, principal=certificate)
        iot.attach_policy(policyName=self._policy, target=certificate)
        return Credentials(
            certificate_id=made["certificateId"],
            certificate=made["certificatePem"],
            private_key=made["keyPair"]["PrivateKey"],
            ca=amazon_root(),
            endpoint=self._endpoint,
            port=MQTT_TLS_PORT,
        )

    def attach_certificate(self, thing: str, certificate_id: str) -> None:
        """See `Things.attach_certificate`. Binds the certificate to the policy.

        AWS IoT itself makes the thing, attaches the certificate and activates it, after the hook has allowed
        the claim and whatever has happened since. Without the policy such a certificate opens nothing.
        """
        certificate = self._arn(certificate_id)
        if not certificate:
            refuse("bad_field", f"certificate: {certificate_id} is not in the registry")
        self._client().attach_policy(policyName=self._policy, target=certificate)

    def activate(self, thing: str, certificate_id: str) -> None:
        """See `Things.activate`. A certificate that was revoked has neither thing nor policy any more."""
        self._client().update_certificate(certificateId=certificate_id, newStatus="ACTIVE")

    def certificates(self, thing: str) -> Sequence[str]:
        """See `Things.certificates`."""
        iot = self._client()
        found: list[str] = []
        try:
            for page in iot.get_paginator("list_thing_principals").paginate(thingName=thing):
                found += [_id_of(principal) for principal in page["principals"]]
        except iot.exceptions.ResourceNotFoundException:
            return []
        return found

    def revoke(self, thing: str, certificate_ids: Collection[str]) -> None:
        """See `Things.revoke`.

        A certificate loses its policy before the connection is cut, so that AWS IoT, which may still activate
        it for a claim, opens nothing by that. Deactivating alone leaves a connection open for minutes. The
        certificates stay in the registry: what they signed can still be looked up.
        """
        iot, data = self._client(), self._data()
        certificates = [arn for arn in map(self._arn, certificate_ids) if arn]
        for certificate in certificates:
            iot.update_certificate(certificateId=_id_of(certificate), newStatus="INACTIVE")
            with suppress(iot.exceptions.ResourceNotFoundException):  # it has none any more
                iot.detach_policy(policyName=self._policy, target=certificate)
        if certificates:
            with suppress(data.exceptions.ResourceNotFoundException):
                data.delete_connection(clientId=thing, cleanSession=True)
        for certificate in certificates:
            with suppress(iot.exceptions.ResourceNotFoundException):  # it was never attached, or is not now
                iot.detach_thing_principal(thingName=thing, principal=certificate)

    def remove(self, thing: str) -> None:
        """See `Things.remove`. Raises Refused, `in_flight`, while a certificate is still attached."""
        data = self._data()
        with suppress(data.exceptions.ResourceNotFoundException):
            data.delete_thing_shadow(thingName=thing, shadowName=SHADOW)
        self._remove(thing)

    def _arn(self, certificate_id: str) -> str:
        """Return a certificate's name among all of AWS; "" when there is none of that id."""
        iot = self._client()
        try:
            described = iot.describe_certificate(certificateId=certificate_id)
        except iot.exceptions.ResourceNotFoundException:
            return ""
        return str(described["certificateDescription"]["certificateArn"])

    def _remove(self, thing: str) -> None:
        iot = self._client()
        for wait_s in (*DETACHING_S, None):
            try:
                iot.delete_thing(thingName=thing)
            except iot.exceptions.ResourceNotFoundException:
                return
            except iot.exceptions.InvalidRequestException as fault:
                if wait_s is None:
                    raise Refused(
                        "in_flight", f"thing: {thing} still has a certificate attached; try again"
                    ) from fault
                time.sleep(wait_s)
            else:
                return

    @cached_property
    def _endpoint(self) -> str:
        address: str = self._client().describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
        return address


def amazon_root() -> str:
    """Return the certificate, PEM, that AWS IoT's endpoints are signed with."""
    return resources.files(__package__).joinpath("AmazonRootCA1.pem").read_text()


def _id_of(certificate_arn: str) -> str:
    return certificate_arn.rpartition("/")[2]
