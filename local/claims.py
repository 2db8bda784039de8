"""Fleet provisioning by claim on one machine: the MQTT topics as AWS IoT plays them, and the same hook.

References
----------
AWS IoT Core Developer Guide, "Device provisioning MQTT API" and "Pre-provisioning hooks".
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from anc.wire.claim import (
    ASKED,
    CLAIMING,
    SERIAL,
    SIGN_TOPIC,
    TEMPLATE,
    Provisioned,
    Registration,
    Rejected,
    Signed,
    SigningRequest,
)
from anc.wire.refusal import Refused, parse_json
from local.certificates import Authority, fingerprint, pem
from local.things import THING_NAME, LocalThings

TOKEN_S = 3600.0
MOST_WAITING = 1000  # certificates that were signed and not yet made good
TEMPLATE_ARN = f"arn:aws:iot:local:000000000000:provisioningtemplate/{TEMPLATE}"
UNREADABLE = ("bad_json", "bad_field")

Hook = Callable[[dict[str, Any]], Mapping[str, Any]]


class _Waiting(NamedTuple):
    certificate_id: str
    certificate_pem: str
    until: float


class Claims:
    """Signs certificates for headsets that come with a claim, and makes those good that the hook allows.

    Parameters
    ----------
    things : LocalThings
    authority : Authority
    hook : callable
        The function that AWS IoT would invoke: its event to its answer.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        things: LocalThings,
        authority: Authority,
        hook: Hook,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._things = things
        self._authority = authority
        self._hook = hook
        self._clock = clock
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, client_id: str, claim_id: str, topic: str, payload: bytes) -> tuple[str, bytes]:
        """Return the answer to a request, topic and payload. A refused one changes nothing."""
        try:
            if topic == SIGN_TOPIC:
                said: Signed | Provisioned = self._sign(parse_json(payload, SigningRequest))
            else:
                said = self._provision(client_id, claim_id, parse_json(payload, Registration))
        except Refused as refusal:
            code = "InvalidPayload" if refusal.code in UNREADABLE else refusal.code
            no = Rejected(403 if code == "AccessDenied" else 400, code, refusal.message)
            return f"{topic}/rejected", msgspec.json.encode(no)
        return f"{topic}/accepted", msgspec.json.encode(said)

    def _sign(self, request: SigningRequest) -> Signed:
        try:
            certificate = self._authority.sign(request.certificate_signing_request)
        except ValueError as fault:
            raise Refused(
                "InvalidCertificateSigningRequest", f"certificateSigningRequest: {fault}"
            ) from fault
        token = secrets.token_urlsafe(32)
        waiting = _Waiting(fingerprint(certificate), pem(certificate), self._clock() + TOKEN_S)
        with self._lock:
            self._waiting[token] = waiting
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
        return Signed(waiting.certificate_id, waiting.certificate_pem, token)

    def _provision(self, client_id: str, claim_id: str, request: Registration) -> Provisioned:
        with self._lock:
            waiting = self._waiting.get(request.certificate_ownership_token)
        serial = request.parameters.get(SERIAL, "")
        if (
            waiting is None
            or waiting.until < self._clock()
            or self._things.owner(waiting.certificate_id) not in (None, serial)
        ):
            raise Refused("InvalidCertificateOwnershipToken", "Certificate ownership token is invalid.")
        answer = self._hook(
            {
                "claimCertificateId": claim_id,
                "certificateId": waiting.certificate_id,
                "certificatePem": waiting.certificate_pem,
                "templateArn": TEMPLATE_ARN,
                "clientId": client_id,
                "parameters": request.parameters,
            }
        )
        if not answer["allowProvisioning"]:
            raise Refused("AccessDenied", "Access Denied")
        self._things.activate(serial, waiting.certificate_id)
        return Provisioned(serial)


def may_connect(client_id: str) -> bool:
    """Return whether a claim may connect so: under a serial number's name that is no thing's."""
    serial = client_id.removeprefix(CLAIMING)
    return client_id.startswith(CLAIMING) and THING_NAME.fullmatch(serial) is not None


def may_publish(topic: str) -> bool:
    """Return whether a claim may publish there."""
    return topic in ASKED
