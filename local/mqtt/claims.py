"""Fleet provisioning by claim on one machine, with the MQTT topics and the hook of AWS IoT.

References
----------
AWS IoT Core Developer Guide, "Device provisioning MQTT API" and "Pre-provisioning hooks".
"""

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from anc.schemas.claim import (
    SERIAL,
    SIGN_TOPIC,
    Provisioned,
    Registration,
    Rejected,
    Signed,
    SigningRequest,
    request_topics,
    response_topics,
    serial_of_client,
    template_name,
)
from anc.schemas.refusal import Refused, parse_json, refuse
from local.auth.certificates import Authority, fingerprint, pem
from local.mqtt.things import LocalThings

TOKEN_S = 3600.0
ALGORITHM = "HS256"
INVALID_TOKEN = "InvalidCertificateOwnershipToken"
MAX_REQUESTS = 8  # per connection; a headset needs two, and retries after a lost response
TEMPLATE_ARN = f"arn:aws:iot:local:000000000000:provisioningtemplate/{template_name()}"
UNREADABLE = ("bad_json", "bad_field")

Hook = Callable[[dict[str, Any]], Mapping[str, Any]]


class ClaimProvisioning:
    """Sign certificates for headsets with a claim, and activate those that the hook allows.

    Parameters
    ----------
    things : LocalThings
    authority : Authority
    hook : callable
        The pre-provisioning hook: event to response.
    clock : callable
        Seconds since the epoch.
    """

    def __init__(
        self,
        things: LocalThings,
        authority: Authority,
        hook: Hook,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._things = things
        self._authority = authority
        self._hook = hook
        self._clock = clock
        # Pending certificates are kept in signed tokens, not here, so no client can displace another's.
        self._secret = secrets.token_bytes(32)

    def handle(self, client_id: str, claim_id: str, topic: str, payload: bytes) -> tuple[str, bytes]:
        """Return the topic and the payload of the response to a request."""
        try:
            if topic == SIGN_TOPIC:
                response: Signed | Provisioned = self._sign(parse_json(payload, SigningRequest))
            else:
                response = self._provision(client_id, claim_id, parse_json(payload, Registration))
        except Refused as refusal:
            code = "InvalidPayload" if refusal.code in UNREADABLE else refusal.code
            rejected = Rejected(403 if code == "AccessDenied" else 400, code, refusal.message)
            return f"{topic}/rejected", msgspec.json.encode(rejected)
        return f"{topic}/accepted", msgspec.json.encode(response)

    def _sign(self, request: SigningRequest) -> Signed:
        try:
            certificate = self._authority.sign(request.certificate_signing_request)
        except ValueError as fault:
            raise Refused(
                "InvalidCertificateSigningRequest", f"certificateSigningRequest: {fault}"
            ) from fault
        return Signed(fingerprint(certificate), pem(certificate), self._token(certificate))

    def _token(self, certificate: x509.Certificate) -> str:
        der = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
        return jwt.encode({"certificate": der, "until": self._clock() + TOKEN_S}, self._secret, ALGORITHM)

    def _certificate(self, token: str, serial: str) -> x509.Certificate:
        """Return the certificate of an ownership token. Raises Refused."""
        try:
            token_claims = jwt.decode(token, self._secret, [ALGORITHM])
        except jwt.PyJWTError as fault:
            raise Refused(INVALID_TOKEN, "Certificate ownership token is invalid.") from fault
        certificate = x509.load_der_x509_certificate(base64.b64decode(token_claims["certificate"]))
        taken = self._things.owner(fingerprint(certificate)) not in (None, serial)
        if token_claims["until"] < self._clock() or taken:
            refuse(INVALID_TOKEN, "Certificate ownership token is invalid.")
        return certificate

    def _provision(self, client_id: str, claim_id: str, request: Registration) -> Provisioned:
        serial = request.parameters.get(SERIAL, "")
        certificate = self._certificate(request.certificate_ownership_token, serial)
        certificate_id = fingerprint(certificate)
        decision = self._hook(
            {
                "claimCertificateId": claim_id,
                "certificateId": certificate_id,
                "certificatePem": pem(certificate),
                "templateArn": TEMPLATE_ARN,
                "clientId": client_id,
                "parameters": request.parameters,
            }
        )
        if not decision["allowProvisioning"]:
            raise Refused("AccessDenied", "Access Denied")
        self._things.activate(serial, certificate_id)
        return Provisioned(serial)


def may_connect(client_id: str) -> bool:
    """Return whether a claim may connect with this client id, which must contain a serial number."""
    return bool(serial_of_client(client_id))


def may_publish(topic: str) -> bool:
    """Return whether a claim may publish on a topic."""
    return topic in request_topics()


def may_subscribe(topic_filter: str) -> bool:
    """Return whether a claim may subscribe to a topic filter."""
    return topic_filter in response_topics()
