"""Identities of headsets in AWS IoT's registry."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

from anc.aws import clients
from anc.ports import Credentials
from anc.wire.shadow import SHADOW

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

    def enrol(self, thing: str) -> Credentials:
        """See `Things.enrol`. The certificate works from the last step on: one half done opens nothing."""
        iot = self._client()
        with suppress(iot.exceptions.ResourceAlreadyExistsException):  # made by a claim, with a thing type
            iot.create_thing(thingName=thing)
        made = iot.create_keys_and_certificate(setAsActive=False)
        certificate = made["certificateArn"]
        iot.attach_thing_principal(thingName=thing, principal=certificate)
        iot.attach_policy(policyName=self._policy, target=certificate)
        iot.update_certificate(certificateId=made["certificateId"], newStatus="ACTIVE")
        return Credentials(
            certificate_id=made["certificateId"],
            certificate=made["certificatePem"],
            private_key=made["keyPair"]["PrivateKey"],
            ca=amazon_root(),
            endpoint=self._endpoint,
            port=MQTT_TLS_PORT,
        )

    def retire(self, thing: str, kept: str) -> None:
        """See `Things.retire`. The headset comes back with the certificate that is kept."""
        old = [certificate for certificate in self._certificates(thing) if _id_of(certificate) != kept]
        self._cut_off(thing, old)

    def revoke(self, thing: str, certificate_id: str) -> None:
        """See `Things.revoke`. With the thing go all its certificates, and its live connection.

        Every step may be repeated, so a revocation cut short is finished by the next. Deactivating alone
        leaves a connection open for minutes, so it is cut. The certificates stay in the registry, inactive:
        what they signed can still be looked up.
        """
        data = self._data()
        certificates = self._certificates(thing)
        if certificates and certificate_id not in map(_id_of, certificates):
            return  # the thing has been enrolled again since
        self._cut_off(thing, certificates)
        with suppress(data.exceptions.ResourceNotFoundException):
            data.delete_thing_shadow(thingName=thing, shadowName=SHADOW)
        self._remove(thing)

    def _cut_off(self, thing: str, certificates: Sequence[str]) -> None:
        iot, data = self._client(), self._data()
        for certificate in certificates:
            iot.update_certificate(certificateId=_id_of(certificate), newStatus="INACTIVE")
        with suppress(data.exceptions.ResourceNotFoundException):
            data.delete_connection(clientId=thing, cleanSession=True)
        for certificate in certificates:
            iot.detach_policy(policyName=self._policy, target=certificate)
            iot.detach_thing_principal(thingName=thing, principal=certificate)

    def _certificates(self, thing: str) -> list[str]:
        iot = self._client()
        try:
            principals: list[str] = iot.list_thing_principals(thingName=thing)["principals"]
        except iot.exceptions.ResourceNotFoundException:
            return []
        return principals

    def _remove(self, thing: str) -> None:
        iot = self._client()
        for wait_s in (*DETACHING_S, None):
            try:
                iot.delete_thing(thingName=thing)
            except iot.exceptions.ResourceNotFoundException:
                return
            except iot.exceptions.InvalidRequestException:
                if wait_s is None:
                    raise
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
