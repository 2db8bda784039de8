"""The status of a headset: connection events in any order, and refusals."""

import json
from typing import Any

import pytest

from anc.headset_records import Status
from anc.ports import Conflict
from anc.schemas.refusal import Refused
from anc.services.headsets import device_status, devices
from anc.services.headsets.devices import Registration
from tests.fakes import ALICE, FakePlatform

THING = "left"


@pytest.fixture
def headset(platform: FakePlatform) -> FakePlatform:
    devices.register(Registration(THING, [0.0, 0.5]), ALICE, platform.deps)
    return platform


def event(kind: str, at: float, session: str = "s1", thing: str = THING, **more: Any) -> bytes:
    """Return a lifecycle event as AWS IoT publishes it."""
    lifecycle_event = {
        "clientId": thing,
        "timestamp": int(1000 * at),
        "eventType": kind,
        "sessionIdentifier": session,
        "principalIdentifier": "000000000000/ABCDEFGHIJKLMNOPQRSTU:some-user/ABCDEFGHIJKLMNOPQRSTU:some-user",
        "ipAddress": "192.0.2.0",
        "versionNumber": 0,
        **more,
    }
    return json.dumps(lifecycle_event).encode()


def online(platform: FakePlatform) -> tuple[bool | None, float]:
    known = device_status.find(THING, platform.deps)
    return known.online, known.since


def test_before_the_first_connection_the_status_is_unknown(headset: FakePlatform) -> None:
    assert online(headset) == (None, 0.0)


def test_a_connected_headset_is_online_until_it_disconnects(headset: FakePlatform) -> None:
    device_status.record_presence(event("connected", 100), headset.deps)
    assert online(headset) == (True, 100)
    device_status.record_presence(event("disconnected", 160), headset.deps)
    assert online(headset) == (False, 160)


def test_a_repeated_event_changes_nothing(headset: FakePlatform) -> None:
    device_status.record_presence(event("connected", 100), headset.deps)
    once = device_status.find(THING, headset.deps)
    device_status.record_presence(event("connected", 100), headset.deps)
    assert device_status.find(THING, headset.deps) == once


@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3), (0, 1, 3, 2), (0, 3, 1, 2), (0, 3, 2, 1), (2, 3, 1, 0)], ids=str
)
def test_connections_within_a_millisecond_leave_the_headset_offline_in_any_order(
    headset: FakePlatform, order: tuple[int, ...]
) -> None:
    events = (
        event("connected", 129.9, "s1"),
        event("disconnected", 130.0, "s1", disconnectReason="DUPLICATE_CLIENTID"),
        event("connected", 130.0, "s2"),
        event("disconnected", 130.0, "s2", disconnectReason="CONNECTION_LOST"),
    )
    for number in order:
        device_status.record_presence(events[number], headset.deps)
    assert online(headset)[0] is False


def test_the_end_of_an_older_connection_does_not_end_the_newer(headset: FakePlatform) -> None:
    device_status.record_presence(event("connected", 100, "s1"), headset.deps)
    device_status.record_presence(event("connected", 130, "s2"), headset.deps)
    replaced = event("disconnected", 130.01, "s1", disconnectReason="DUPLICATE_CLIENTID")
    device_status.record_presence(replaced, headset.deps)
    assert online(headset) == (True, 130)


def test_a_late_end_of_an_earlier_connection_changes_nothing(headset: FakePlatform) -> None:
    device_status.record_presence(event("connected", 130, "s2"), headset.deps)
    device_status.record_presence(
        event("disconnected", 120, "s1", disconnectReason="AUTH_ERROR"), headset.deps
    )
    assert online(headset) == (True, 130)
    assert device_status.find(THING, headset.deps).refused == 0


def test_an_end_that_is_reported_before_its_start_is_recorded_with_its_reason(headset: FakePlatform) -> None:
    earlier = event("connected", 100, "s1"), event("disconnected", 110, "s1")
    end = event("disconnected", 120.2, "s2", disconnectReason="AUTH_ERROR")
    for lifecycle_event in (*earlier, end, event("connected", 120, "s2")):
        device_status.record_presence(lifecycle_event, headset.deps)
    assert online(headset) == (False, 120.2)
    assert device_status.find(THING, headset.deps).refused == 1


def test_a_connect_event_after_its_disconnect_event_is_ignored(headset: FakePlatform) -> None:
    device_status.record_presence(event("disconnected", 160), headset.deps)
    device_status.record_presence(event("connected", 100), headset.deps)
    assert online(headset) == (False, 160)


def test_a_faulty_disconnect_is_recorded_once_however_often_the_event_is_delivered(
    headset: FakePlatform,
) -> None:
    device_status.record_presence(event("connected", 100), headset.deps)
    for _ in range(2):
        device_status.record_presence(event("disconnected", 160, disconnectReason="AUTH_ERROR"), headset.deps)
    known = device_status.find(THING, headset.deps)
    assert known.refusal is not None
    assert (known.online, known.refused, known.refusal.what) == (False, 1, "connection")
    assert (known.refusal.code, known.refusal.at) == ("auth_error", headset.clock.now)
    assert "a topic that is not its own" in known.refusal.message


@pytest.mark.parametrize("reason", ["CONNECTION_LOST", "API_INITIATED_DISCONNECT", "SOMETHING_NEW"])
def test_an_ordinary_disconnect_is_no_refusal(headset: FakePlatform, reason: str) -> None:
    device_status.record_presence(event("connected", 100), headset.deps)
    device_status.record_presence(event("disconnected", 160, disconnectReason=reason), headset.deps)
    assert online(headset) == (False, 160)
    assert device_status.find(THING, headset.deps).refused == 0


def test_late_events_change_nothing(headset: FakePlatform) -> None:
    first = event("connected", 100, "s1"), event("disconnected", 110, "s1", disconnectReason="AUTH_ERROR")
    for lifecycle_event in (*first, event("connected", 120, "s2")):
        device_status.record_presence(lifecycle_event, headset.deps)
    before = device_status.find(THING, headset.deps)
    headset.clock.now += 30 * 86_400
    for lifecycle_event in (*first, *reversed(first)):
        device_status.record_presence(lifecycle_event, headset.deps)
    assert device_status.find(THING, headset.deps) == before


def test_events_of_an_unregistered_headset_are_not_stored(headset: FakePlatform) -> None:
    device_status.record_presence(event("connected", 100, thing="stranger"), headset.deps)
    assert headset.deps.statuses.get("stranger") is None


@pytest.mark.parametrize("payload", [b"", b"{}", b"[1]", b"\xff", b'{"clientId": 7}'])
def test_an_invalid_lifecycle_event_is_refused(headset: FakePlatform, payload: bytes) -> None:
    with pytest.raises(Refused):
        device_status.record_presence(payload, headset.deps)


def test_a_refusal_is_stored_with_its_reason_time_and_count(headset: FakePlatform) -> None:
    for message in ("first", "second"):
        headset.clock.now += 60
        device_status.record_refusal(THING, "snapshot", Refused("bad_field", message), headset.deps)
    known = device_status.find(THING, headset.deps)
    assert known.refused == 2
    assert known.refusal is not None
    assert (known.refusal.message, known.refusal.at) == ("second", headset.clock.now)


def test_a_headset_registered_again_starts_with_an_empty_status(headset: FakePlatform) -> None:
    device_status.record_refusal(THING, "snapshot", Refused("bad_field", "first"), headset.deps)
    devices.remove(THING, ALICE, headset.deps)
    devices.register(Registration(THING, [0.0, 0.5]), ALICE, headset.deps)
    assert device_status.find(THING, headset.deps).refusal is None


@pytest.mark.parametrize(
    ("kind", "details", "message"),
    [
        (
            "connect_failed",
            {"connectFailureReason": "AUTHORIZATION_FAILED"},
            "connection: refused, because its certificate does not allow this client id, or has no policy",
        ),
        ("connect_failed", {}, "connection: refused, because AWS IoT refused it"),
        (
            "connect_failed",
            {"explanation": "the protocol must be MQTT 3.1.1"},
            "connection: refused, because the protocol must be MQTT 3.1.1",
        ),
        (
            "subscription_refused",
            {"explanation": "the headset may not subscribe to anc/left/#"},
            "subscription: refused, because the headset may not subscribe to anc/left/#",
        ),
        (
            "disconnected",
            {"disconnectReason": "CLIENT_ERROR", "explanation": "quality of service 2 is not supported"},
            "connection: closed, because quality of service 2 is not supported",
        ),
    ],
)
def test_the_owner_learns_why_a_connection_or_subscription_was_refused(
    headset: FakePlatform, kind: str, details: dict[str, str], message: str
) -> None:
    device_status.record_presence(event(kind, 100, **details), headset.deps)
    found = device_status.find(THING, headset.deps)
    assert found.refusal
    assert (found.refusal.what, found.refusal.message, found.refused) == ("connection", message, 1)


def test_a_connection_that_is_refused_again_at_once_is_recorded_once(headset: FakePlatform) -> None:
    for at in (100, 101, 102):
        device_status.record_presence(event("connect_failed", at), headset.deps)
    assert device_status.find(THING, headset.deps).refused == 1


def test_an_event_that_meets_too_many_conflicts_is_delivered_again(
    headset: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(record: Status) -> Status:
        raise Conflict(record.key)

    with monkeypatch.context() as patch:
        patch.setattr(headset.deps.statuses, "put", overtaken)
        with pytest.raises(Conflict):
            device_status.record_presence(event("connected", 100), headset.deps)
        refusal = Refused("bad_field", "rate: must be 16000 Hz")
        device_status.record_refusal(THING, "snapshot", refusal, headset.deps)  # only counted
    assert headset.counts["status_conflicts"] == 2
    device_status.record_presence(event("connected", 100), headset.deps)
    assert online(headset) == (True, 100)
