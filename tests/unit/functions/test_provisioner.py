"""The pre-provisioning hook: only preregistered headsets are provisioned, each with one key."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from anc.schemas.refusal import Refused
from anc.services.headsets import device_status
from functions.provisioner.handler import handler
from local.lambda_context import LocalContext
from tests.factory_claims import claim
from tests.fakes import FakePlatform

Call = Callable[..., tuple[int, Any, str]]
MAKER = {"user": "maker", "role": "operator"}
YES, NO = {"allowProvisioning": True, "parameterOverrides": {}}, {"allowProvisioning": False}


@pytest.fixture
def ask(platform: FakePlatform) -> Callable[[dict[str, Any]], Any]:
    return lambda event: handler(event, LocalContext("provisioner"), platform.deps)


@pytest.fixture(autouse=True)
def expected(call: Call) -> None:
    """Preregister the headset `one` as its maker."""
    call("PUT", "/api/device-models/twin", {"secondary": [0.0, 0.5, 0.2], "taps": 64}, **MAKER)
    assert call("POST", "/api/device-models/twin/serials", {"serials": ["one"]}, **MAKER)[0] == 200


def why(call: Call, serial: str) -> str:
    """Return the code of a refused claim, as the headset's owner reads it."""
    refusal = call("GET", f"/api/devices/{serial}", **MAKER)[1]["refusal"]
    assert refusal["what"] == "claim"
    return str(refusal["code"])


def test_a_preregistered_headset_gets_its_name_and_the_values_of_its_model(
    call: Call, platform: FakePlatform, ask: Any
) -> None:
    event = claim("one")
    assert ask(event) == YES
    device = call("GET", "/api/devices/one", **MAKER)[1]
    assert (device["model"], device["taps"], device["secondary_taps"], device["refused"]) == (
        "twin",
        64,
        3,
        0,
    )
    kept = platform.deps.devices.get("one")
    assert kept is not None
    assert kept.certificate == event["certificateId"]


def test_a_claim_may_be_repeated_also_with_a_new_certificate_of_the_same_key(
    platform: FakePlatform, ask: Any, stored: Any
) -> None:
    assert ask(claim("one")) == YES
    before = stored()
    assert ask(claim("one")) == YES
    assert stored() == before
    assert ask(claim("one", number=2)) == YES
    kept = platform.deps.devices.get("one")
    assert kept is not None
    assert kept.certificate == claim("one", number=2)["certificateId"]


def test_a_claimed_serial_number_cannot_be_claimed_with_another_key(
    call: Call, platform: FakePlatform, ask: Any
) -> None:
    assert ask(claim("one")) == YES
    before = platform.deps.devices.get("one")
    assert ask(claim("one", "theirs")) == NO
    assert platform.deps.devices.get("one") == before
    assert why(call, "one") == "claimed_already"


def test_an_unknown_serial_number_is_refused_and_changes_nothing(ask: Any, stored: Any) -> None:
    before = stored()
    assert ask(claim("two")) == NO
    assert stored() == before


def test_a_manually_registered_headset_cannot_be_claimed(
    call: Call, platform: FakePlatform, ask: Any
) -> None:
    call("POST", "/api/devices", {"thing": "hers", "secondary": [0.5]}, **MAKER)
    before = platform.deps.devices.get("hers")
    assert ask(claim("hers")) == NO
    assert platform.deps.devices.get("hers") == before
    assert why(call, "hers") == "not_expected"


def test_after_a_new_certificate_was_issued_the_first_key_cannot_claim(call: Call, ask: Any) -> None:
    assert ask(claim("one")) == YES
    assert call("POST", "/api/devices/one/credentials", **MAKER)[0] == 201
    assert ask(claim("one", number=2)) == NO
    assert why(call, "one") == "not_expected"


def test_a_headset_that_was_removed_and_preregistered_again_can_be_claimed_again(
    call: Call, ask: Any
) -> None:
    assert ask(claim("one")) == YES
    assert call("DELETE", "/api/devices/one", **MAKER)[0] == 204
    assert ask(claim("one", "new")) == NO
    call("POST", "/api/device-models/twin/serials", {"serials": ["one"]}, **MAKER)
    assert ask(claim("one", "new")) == YES


def test_a_refused_claim_does_not_hide_refusals_of_the_headset_itself(
    call: Call, platform: FakePlatform, ask: Any
) -> None:
    assert ask(claim("one")) == YES
    device_status.record_refusal("one", "snapshot", Refused("clipped", "pcm: too loud"), platform.deps)
    assert ask(claim("one", "theirs")) == NO
    device = call("GET", "/api/devices/one", **MAKER)[1]
    assert (device["refused"], device["refusal"]["code"]) == (1, "clipped")
    assert (device["claim_refusal"]["what"], device["claim_refusal"]["code"]) == ("claim", "claimed_already")


def test_repeated_refused_claims_are_recorded_once_a_minute(
    platform: FakePlatform, ask: Any, stored: Any
) -> None:
    assert ask(claim("one")) == YES
    ask(claim("one", "theirs"))
    before = stored()
    for _ in range(5):
        assert ask(claim("one", "theirs")) == NO
    assert stored() == before
    platform.clock.now += 61
    ask(claim("one", "theirs"))
    assert stored() != before


@pytest.mark.parametrize("client_id", ["claim.two", "one", "claim.one.x", "claim.", "claim.one.0123"])
def test_a_claim_is_for_the_serial_number_in_its_client_id_alone(
    call: Call, ask: Any, stored: Any, client_id: str
) -> None:
    before = stored()
    assert ask(claim("one") | {"clientId": client_id}) == NO
    assert stored() == before
    assert ask(claim("one") | {"clientId": "claim.one.0123456789abcdef"}) == YES


def test_a_certificate_that_was_claimed_anew_with_the_same_key_replaces_the_first(
    platform: FakePlatform, ask: Any
) -> None:
    for number in (1, 2):
        assert ask(claim("one", number=number)) == YES
    first, second = (claim("one", number=number)["certificateId"] for number in (1, 2))
    assert platform.things.revoked == [first]
    assert platform.things.certificates("one") == [second]


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": {}},
        {"parameters": {"SerialNumber": "a/b"}},
        {"parameters": {"SerialNumber": "one\n"}},
        {"parameters": {"SerialNumber": 7}},
        {"parameters": None},
        {"certificatePem": "nonsense"},
        {"certificatePem": "x" * 9000},
        {"certificateId": "short"},
        {"certificateId": None},
        {"clientId": None},
        {"clientId": "claim." + "x" * 200},
    ],
)
def test_an_invalid_claim_is_refused_and_changes_nothing(
    platform: FakePlatform, ask: Any, change: Any
) -> None:
    before = platform.deps.devices.get("one")
    assert ask(claim("one") | change) == NO
    assert platform.deps.devices.get("one") == before


def test_two_concurrent_claims_never_both_get_a_serial_number(
    platform: FakePlatform, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, first = platform.deps.devices.put, True

    def overtaken(device: Any) -> Any:
        nonlocal first
        if first:
            first = False
            assert ask(claim("one", "theirs")) == YES
        return put(device)

    monkeypatch.setattr(platform.deps.devices, "put", overtaken)
    assert ask(claim("one", "ours")) == NO


def test_preregistering_again_changes_nothing_and_returns_known_serials(call: Call, stored: Any) -> None:
    before = stored()
    answer = call("POST", "/api/device-models/twin/serials", {"serials": ["one", "one"]}, **MAKER)
    assert answer[:2] == (200, {"listed": [], "known": ["one"]})
    assert stored() == before


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("twin", {"serials": []}, 400),
        ("twin", {"serials": ["x" * 65]}, 400),
        ("twin", {"serials": ["ok", "not ok"]}, 400),
        ("twin", {"serials": [f"n{n}" for n in range(51)]}, 400),
        ("twin", {}, 400),
        ("never-was", {"serials": ["two"]}, 404),
    ],
)
def test_an_invalid_list_of_serials_is_refused_as_a_whole(
    call: Call, stored: Any, path: str, body: Any, status: int
) -> None:
    before = stored()
    assert call("POST", f"/api/device-models/{path}/serials", body, **MAKER)[0] == status
    assert stored() == before


def test_the_reason_of_a_refused_claim_never_contains_the_certificate(ask: Any, capsys: Any) -> None:
    ask(claim("two"))
    assert "BEGIN CERTIFICATE" not in json.dumps(capsys.readouterr().out)
