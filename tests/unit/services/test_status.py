"""What is noticed of a headset: coming and going, in any order; and what was refused of it."""

import json
from typing import Any

import pytest

from anc.services import devices, status
from anc.services.devices import Registration
from anc.wire.refusal import Refused
from tests.worlds import ALICE, TestWorld

THING = "left"


@pytest.fixture
def headset(platform: TestWorld) -> TestWorld:
    devices.register(Registration(THING, [0.0, 0.5]), ALICE, platform.world)
    return platform


def event(kind: str, at: float, session: str = "s1", thing: str = THING, **more: Any) -> bytes:
    """Return a lifecycle event as AWS IoT publishes it."""
    told = {
        "clientId": thing,
        "timestamp": int(1000 * at),
        "eventType": kind,
        "sessionIdentifier": session,
        "principalIdentifier": "000000000000/ABCDEFGHIJKLMNOPQRSTU:some-user/ABCDEFGHIJKLMNOPQRSTU:some-user",
        "ipAddress": "192.0.2.0",
        "versionNumber": 0,
        **more,
    }
    return json.dumps(told).encode()


def online(platform: TestWorld) -> tuple[bool | None, float]:
    known = status.of(THING, platform.world)
    return known.online, known.since


def test_before_it_ever_connected_nobody_knows(headset: TestWorld) -> None:
    assert online(headset) == (None, 0.0)


def test_a_headset_that_connects_is_online_until_it_leaves(headset: TestWorld) -> None:
    status.came_or_went(event("connected", 100), headset.world)
    assert online(headset) == (True, 100)
    status.came_or_went(event("disconnected", 160), headset.world)
    assert online(headset) == (False, 160)


def test_an_event_that_comes_twice_changes_nothing(headset: TestWorld) -> None:
    status.came_or_went(event("connected", 100), headset.world)
    once = status.of(THING, headset.world)
    status.came_or_went(event("connected", 100), headset.world)
    assert status.of(THING, headset.world) == once


def test_the_end_of_an_older_connection_does_not_end_the_newer(headset: TestWorld) -> None:
    status.came_or_went(event("connected", 100, "s1"), headset.world)
    status.came_or_went(event("connected", 130, "s2"), headset.world)
    status.came_or_went(event("disconnected", 130.01, "s1"), headset.world)
    assert online(headset) == (True, 130)


def test_a_beginning_that_comes_after_its_end_does_not_count(headset: TestWorld) -> None:
    status.came_or_went(event("disconnected", 160), headset.world)
    status.came_or_went(event("connected", 100), headset.world)
    assert online(headset) == (False, 160)


def test_a_headset_that_was_cut_off_for_what_it_did_is_told_of_once_however_often_the_event_comes(
    headset: TestWorld,
) -> None:
    status.came_or_went(event("connected", 100), headset.world)
    for _ in range(2):
        status.came_or_went(event("disconnected", 160, disconnectReason="AUTH_ERROR"), headset.world)
    known = status.of(THING, headset.world)
    assert known.refusal is not None
    assert (known.online, known.refused, known.refusal.what) == (False, 1, "connection")
    assert (known.refusal.code, known.refusal.at) == ("auth_error", headset.clock.now)
    assert "a topic that is not its own" in known.refusal.message


@pytest.mark.parametrize("reason", ["CONNECTION_LOST", "API_INITIATED_DISCONNECT", "SOMETHING_NEW"])
def test_a_headset_that_only_went_is_refused_nothing(headset: TestWorld, reason: str) -> None:
    status.came_or_went(event("connected", 100), headset.world)
    status.came_or_went(event("disconnected", 160, disconnectReason=reason), headset.world)
    assert online(headset) == (False, 160)
    assert status.of(THING, headset.world).refused == 0


def test_events_later_than_any_window_change_nothing(headset: TestWorld) -> None:
    first = event("connected", 100, "s1"), event("disconnected", 110, "s1", disconnectReason="AUTH_ERROR")
    for told in (*first, event("connected", 120, "s2")):
        status.came_or_went(told, headset.world)
    before = status.of(THING, headset.world)
    headset.clock.now += 30 * 86_400
    for told in (*first, *reversed(first)):
        status.came_or_went(told, headset.world)
    assert status.of(THING, headset.world) == before


def test_who_is_not_registered_leaves_no_trace(headset: TestWorld) -> None:
    status.came_or_went(event("connected", 100, thing="stranger"), headset.world)
    assert headset.world.statuses.get("stranger") is None


@pytest.mark.parametrize("payload", [b"", b"{}", b"[1]", b"\xff", b'{"clientId": 7}'])
def test_what_is_no_lifecycle_event_is_refused(headset: TestWorld, payload: bytes) -> None:
    with pytest.raises(Refused):
        status.came_or_went(payload, headset.world)


def test_a_refusal_is_kept_with_its_reason_its_time_and_how_many_there_were(headset: TestWorld) -> None:
    for message in ("first", "second"):
        headset.clock.now += 60
        status.refused(THING, "snapshot", Refused("bad_field", message), headset.world)
    known = status.of(THING, headset.world)
    assert known.refused == 2
    assert known.refusal is not None
    assert (known.refusal.message, known.refusal.at) == ("second", headset.clock.now)


def test_a_headset_registered_anew_begins_with_a_clean_slate(headset: TestWorld) -> None:
    status.refused(THING, "snapshot", Refused("bad_field", "first"), headset.world)
    devices.remove(THING, ALICE, headset.world)
    devices.register(Registration(THING, [0.0, 0.5]), ALICE, headset.world)
    assert status.of(THING, headset.world).refusal is None
