"""Things and certificates of headsets in the AWS IoT registry."""

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
# AWS IoT detaches a certificate asynchronously, and a thing with one cannot be deleted.
DETACH_WAITS_S = (0.2, 0.5, 1.0, 2.0)


class IotThings:
    """`anc.ports.Things` on AWS IoT.

    Parameters
    ----------
    policy : str
        Name of the policy attached to the certificate of every headset. A policy variable restricts it to
        the thing's own name.
    thing_type : str
        Type of every thing of this deployment. Names of things are unique in an account and region; a thing
        of another type belongs to another deployment or application, and is not touched.
    environment : str
        Name of the deployment, for the headset's topics.
    """

    def __init__(
        self,
        policy: str,
        thing_type: str,
        environment: str,
        client: Callable[[], Any] = clients.iot,
        data: "Callable[[], IoTDataPlaneClient]" = clients.iot_data,
    ) -> None:
        self._policy = policy
        self._thing_type = thing_type
        self._environment = environment
        self._client = client
        self._data = data

    def create(self, thing: str) -> Credentials:
        """See `Things.create`. The certificate stays inactive until `activate`."""
        iot = self._client()
        if self._type_of(thing) is None:
            with suppress(iot.exceptions.ResourceAlreadyExistsException):  # meanwhile
                iot.create_thing(thingName=thing, thingTypeName=self._thing_type)
        self._check_ownership(thing)
        created = iot.create_keys_and_certificate(setAsActive=False)
        certificate = created["certificateArn"]
        iot.attach_thing_principal(thingName=thing, principal=certificate)
        iot.attach_policy(policyName=self._policy, target=certificate)
        return Credentials(
            certificate_id=created["certificateId"],
            certificate=created["certificatePem"],
            private_key=created["keyPair"]["PrivateKey"],
            ca=amazon_root(),
            endpoint=self._endpoint,
            port=MQTT_TLS_PORT,
            environment=self._environment,
        )

    def attach_certificate(self, thing: str, certificate_id: str) -> None:
        """See `Things.attach_certificate`. Attaches the policy to the certificate.

        After the hook has allowed the claim, AWS IoT itself creates the thing, attaches the certificate and
        activates it, even if it was revoked meanwhile. Without the policy the certificate grants no access.
        """
        self._check_ownership(thing)
        certificate = self._arn(certificate_id)
        if not certificate:
            refuse("bad_field", f"certificate: {certificate_id} does not exist")
        self._client().attach_policy(policyName=self._policy, target=certificate)

    def activate(self, thing: str, certificate_id: str) -> None:
        """See `Things.activate`. A revoked certificate has neither thing nor policy."""
        self._client().update_certificate(certificateId=certificate_id, newStatus="ACTIVE")

    def certificates(self, thing: str) -> Sequence[str]:
        """See `Things.certificates`."""
        iot = self._client()
        found: list[str] = []
        if self._is_foreign(thing):
            return []
        try:
            for page in iot.get_paginator("list_thing_principals").paginate(thingName=thing):
                found += [_id_of(principal) for principal in page["principals"]]
        except iot.exceptions.ResourceNotFoundException:
            return []
        return found

    def revoke(self, thing: str, certificate_ids: Collection[str]) -> None:
        """See `Things.revoke`.

        The policy is detached before the connection is closed, because AWS IoT may still activate the
        certificate for a claim. Deactivation alone leaves a connection open for minutes. The certificates
        stay in the registry for later audits.
        """
        iot, data = self._client(), self._data()
        certificates = [arn for arn in map(self._arn, certificate_ids) if arn]
        for certificate in certificates:
            iot.update_certificate(certificateId=_id_of(certificate), newStatus="INACTIVE")
            with suppress(iot.exceptions.ResourceNotFoundException):  # the policy is not attached
                iot.detach_policy(policyName=self._policy, target=certificate)
        if certificates:
            with suppress(data.exceptions.ResourceNotFoundException):
                data.delete_connection(clientId=thing, cleanSession=True)
        for certificate in certificates:
            with suppress(iot.exceptions.ResourceNotFoundException):  # not attached to the thing
                iot.detach_thing_principal(thingName=thing, principal=certificate)

    def remove(self, thing: str) -> None:
        """See `Things.remove`. Raises Refused, `in_flight`, while a certificate is still attached."""
        if self._is_foreign(thing):
            return
        data = self._data()
        with suppress(data.exceptions.ResourceNotFoundException):
            data.delete_thing_shadow(thingName=thing, shadowName=SHADOW)
        self._remove(thing)

    def _type_of(self, thing: str) -> str | None:
        """Return the type of a thing, "" if it has none, or None if the thing does not exist."""
        iot = self._client()
        try:
            return str(iot.describe_thing(thingName=thing).get("thingTypeName", ""))
        except iot.exceptions.ResourceNotFoundException:
            return None

    def _is_foreign(self, thing: str) -> bool:
        return self._type_of(thing) not in (None, self._thing_type)

    def _check_ownership(self, thing: str) -> None:
        if self._is_foreign(thing):
            refuse(
                "exists", f"thing: {thing} belongs to another deployment in this account; choose another name"
            )

    def _arn(self, certificate_id: str) -> str:
        """Return the ARN of a certificate, or "" if it does not exist."""
        iot = self._client()
        try:
            described = iot.describe_certificate(certificateId=certificate_id)
        except iot.exceptions.ResourceNotFoundException:
            return ""
        return str(described["certificateDescription"]["certificateArn"])

    def _remove(self, thing: str) -> None:
        iot = self._client()
        for wait_s in (*DETACH_WAITS_S, None):
            try:
                iot.delete_thing(thingName=thing)
            except iot.exceptions.ResourceNotFoundException:
                return
            except iot.exceptions.InvalidRequestException as fault:
                if wait_s is None:
                    raise Refused(
                        "in_flight", f"thing: {thing} still has a certificate attached; try again later"
                    ) from fault
                time.sleep(wait_s)
            else:
                return

    @cached_property
    def _endpoint(self) -> str:
        address: str = self._client().describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
        return address


def amazon_root() -> str:
    """Return the root certificate of AWS IoT endpoints, in PEM."""
    return resources.files(__package__).joinpath("AmazonRootCA1.pem").read_text()


def _id_of(certificate_arn: str) -> str:
    return certificate_arn.rpartition("/")[2]
