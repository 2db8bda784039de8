"""The headset's shadow client: order by version, synchronisation, invalid messages."""

import json
from typing import Any

import pytest

from anc.schemas.refusal import Refused
from anc.schemas.shadow import Desired, Reported
from iot.shadow import RESPONSE_TIMEOUT_S, ShadowClient

PREFIX = "$aws/things/h1/shadow/name/anc/"


class FakeTransport:
    """A transport without a network."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}
        self.sent: list[tuple[str, Any]] = []
        self.up = True

    def subscribe(self, topic: str, handler: Any) -> None:
        self.handlers[topic] = handler

    def publish(self, topic: str, payload: bytes) -> bool:
        self.sent.append((topic, json.loads(payload)))
        return self.up

    def deliver(self, topic: str, document: Any) -> None:
        payload = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.handlers[PREFIX + topic](payload)


class Headset:
    """A shadow client on a fake transport, and the changes and refusals that it reports."""

    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.changes: list[tuple[Desired, int | None]] = []
        self.refusals: list[Refused] = []
        self.now = 0.0
        self.shadow = ShadowClient(
            "h1",
            self.transport,  # type: ignore[arg-type]
            lambda change, seq: self.changes.append((change, seq)),
            self.refusals.append,
            lambda: self.now,
        )


@pytest.fixture
def headset() -> Headset:
    return Headset()


def delta(version: int, **state: Any) -> dict[str, Any]:
    return {"version": version, "state": state, "timestamp": 1}


def test_a_delta_gives_the_changed_fields(headset: Headset):
    headset.transport.deliver("update/delta", delta(3, mode="bypass", intensity=0.5))
    assert headset.changes == [(Desired(mode="bypass", intensity=0.5), None)]


@pytest.mark.parametrize("versions", [(3, 3), (3, 2), (3, 3, 1, 3)])
def test_a_duplicate_or_late_delta_is_ignored(headset: Headset, versions: tuple[int, ...]):
    for version in versions:
        headset.transport.deliver("update/delta", delta(version, intensity=version / 10))
    assert headset.changes == [(Desired(intensity=0.3), None)]


def test_the_whole_shadow_gives_the_reported_sequence_number(headset: Headset):
    state = {"desired": {"mode": "cancel"}, "reported": {"seq": 17}, "delta": {}}
    headset.transport.deliver("get/accepted", {"version": 5, "state": state})
    assert headset.changes == [(Desired(mode="cancel"), 17)]


@pytest.mark.parametrize("seq", [2**32, 10**30, -1, "17", 1.5, None])
def test_an_invalid_sequence_number_is_refused_and_the_rest_is_applied(headset: Headset, seq: Any):
    state = {"desired": {"mode": "bypass"}, "reported": {"seq": seq}}
    headset.transport.deliver("get/accepted", {"version": 5, "state": state})
    assert headset.changes == [(Desired(mode="bypass"), 0)]
    (refusal,) = headset.refusals
    assert refusal.message.startswith("shadow: reported.seq must be a number between 0 and ")


def test_a_recreated_shadow_restarts_its_version(headset: Headset):
    headset.transport.deliver("update/delta", delta(90, mode="bypass"))
    headset.shadow.request()
    assert headset.transport.sent == [(PREFIX + "get", {})]
    headset.transport.deliver("get/accepted", {"version": 1, "state": {"desired": {"mode": "cancel"}}})
    assert headset.changes[-1] == (Desired(mode="cancel"), 0)


def test_a_response_older_than_a_delta_is_ignored(headset: Headset):
    headset.shadow.request()
    headset.transport.deliver("update/delta", delta(8, mode="bypass"))
    headset.transport.deliver("get/accepted", {"version": 7, "state": {"desired": {"mode": "cancel"}}})
    assert [change for change, _ in headset.changes] == [Desired(mode="bypass")]


@pytest.mark.parametrize(
    "document",
    [
        b"{",
        b"\xff",
        {"state": {"mode": "cancel"}},
        delta(1, mode="louder"),
        delta(1, intensity=1.5),
        delta(1, filter={"id": "short"}),
        delta(1, reason="x" * 9000),
    ],
)
def test_an_invalid_message_is_refused_and_ignored(headset: Headset, document: Any):
    headset.transport.deliver("update/delta", document)
    assert headset.changes == []
    assert len(headset.refusals) == 1


def test_a_report_goes_into_the_reported_state(headset: Headset):
    assert headset.shadow.report(Reported(mode="cancel", seq=3), ())
    [(topic, document)] = headset.transport.sent
    assert topic == PREFIX + "update"
    assert document["state"]["reported"]["seq"] == 3


def test_a_headset_is_in_sync_after_it_has_applied_the_whole_shadow(headset: Headset) -> None:
    for answer in (
        ("get/accepted", {"version": 5, "state": {"desired": {"mode": "cancel"}}}),
        ("get/rejected", {"code": 404, "message": "No shadow exists with name: 'anc'"}),
    ):
        headset.shadow.request()
        headset.transport.deliver("update/delta", delta(1, mode="bypass"))
        assert not headset.shadow.in_sync()
        headset.transport.deliver(*answer)
        assert headset.changes[-1][1] == 0
        assert not headset.shadow.in_sync()
        headset.shadow.mark_applied()
        assert headset.shadow.in_sync()


@pytest.mark.parametrize("answer", [b"{", {"code": 429, "message": "Too Many Requests"}])
def test_a_request_without_a_valid_response_is_repeated_after_the_timeout(
    headset: Headset, answer: Any
) -> None:
    headset.shadow.request()
    headset.transport.deliver("get/rejected", answer)
    assert (headset.shadow.in_sync(), len(headset.transport.sent)) == (False, 1)
    headset.now += RESPONSE_TIMEOUT_S
    assert (headset.shadow.in_sync(), headset.shadow.in_sync(), len(headset.transport.sent)) == (
        False,
        False,
        2,
    )
    assert headset.changes == []


def test_the_shadow_is_requested_again_when_a_newer_delta_arrived_first(headset: Headset) -> None:
    headset.shadow.request()
    headset.transport.deliver("update/delta", delta(8, mode="bypass"))
    headset.transport.deliver(
        "get/accepted", {"version": 7, "state": {"desired": {"config": {"private": True}}}}
    )
    assert not headset.shadow.in_sync()
    assert headset.transport.sent == [(PREFIX + "get", {})] * 2


def test_a_missing_shadow_is_treated_as_empty(headset: Headset) -> None:
    headset.shadow.request()
    headset.transport.deliver("get/rejected", {"code": 404, "message": "No shadow exists with name: 'anc'"})
    assert headset.changes == [(Desired(), 0)]
    assert headset.refusals == []
