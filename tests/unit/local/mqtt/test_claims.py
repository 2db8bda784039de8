"""Fleet provisioning by claim on one machine, with the topics of AWS IoT."""

import json
from pathlib import Path
from typing import Any

import pytest

from anc.schemas.claim import SIGN_TOPIC, provision_topic
from iot.provisioning import _signing_request
from local.auth.certificates import Authority
from local.mqtt.claims import TOKEN_S, ClaimProvisioning
from local.mqtt.things import LocalThings
from local.storage.database import Database
from tests.factory_claims import key
from tests.fakes import Clock

CLIENT = "claim.one"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def things(tmp_path: Path) -> LocalThings:
    return LocalThings(Database(tmp_path / "anc.db"), Authority(tmp_path / "ca"), 8883)


@pytest.fixture
def claims(tmp_path: Path, things: LocalThings, clock: Clock) -> ClaimProvisioning:
    def admit(event: dict[str, Any]) -> dict[str, Any]:
        things.attach_certificate(event["parameters"]["SerialNumber"], event["certificateId"])
        return {"allowProvisioning": True}

    return ClaimProvisioning(things, Authority(tmp_path / "ca"), admit, clock)


def send_request(claims: ClaimProvisioning, topic: str, request: Any) -> tuple[str, Any]:
    """Return the verb and the document of a response."""
    response_topic, payload = claims.handle(CLIENT, "c" * 64, topic, json.dumps(request).encode())
    return response_topic.removeprefix(f"{topic}/"), json.loads(payload)


def sign(claims: ClaimProvisioning) -> Any:
    verb, signed = send_request(
        claims, SIGN_TOPIC, {"certificateSigningRequest": _signing_request("one", key("ours"))}
    )
    assert verb == "accepted"
    return signed


def provision(claims: ClaimProvisioning, signed: Any, serial: str = "one") -> tuple[str, Any]:
    token = signed["certificateOwnershipToken"]
    request = {"certificateOwnershipToken": token, "parameters": {"SerialNumber": serial}}
    return send_request(claims, provision_topic(), request)


def test_a_certificate_is_active_once_its_claim_was_allowed(
    claims: ClaimProvisioning, things: LocalThings
) -> None:
    signed = sign(claims)
    assert things.owner(signed["certificateId"]) is None
    for _ in range(2):  # the handle may be lost
        assert provision(claims, signed) == ("accepted", {"thingName": "one", "deviceConfiguration": {}})
    assert things.owner(signed["certificateId"]) == "one"


def test_requests_of_others_do_not_displace_a_pending_certificate(
    claims: ClaimProvisioning,
) -> None:
    mine = sign(claims)
    for _ in range(1200):
        sign(claims)
    assert provision(claims, mine)[0] == "accepted"


def test_a_token_expires_after_an_hour_and_is_valid_for_one_serial_number(
    claims: ClaimProvisioning, clock: Clock
) -> None:
    mine = sign(claims)
    assert provision(claims, mine)[0] == "accepted"
    assert provision(claims, mine, "other")[1]["errorCode"] == "InvalidCertificateOwnershipToken"
    clock.now += TOKEN_S + 1
    assert provision(claims, mine)[1]["errorCode"] == "InvalidCertificateOwnershipToken"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0" + ".eyJ1bnRpbCI6OTllOX0."])
def test_a_forged_token_is_refused(claims: ClaimProvisioning, token: str) -> None:
    assert provision(claims, {"certificateOwnershipToken": token})[1]["errorCode"] == (
        "InvalidCertificateOwnershipToken"
    )
