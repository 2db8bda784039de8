"""The headset's side of its shadow: order by version, and nothing that makes no sense."""

import json
from typing import Any

import pytest

from anc.schemas.refusal import Refused
from anc.schemas.shadow import Desired, Reported
from iot.shadow import ANSWER_S, ShadowClient

PREFIX = "$aws/things/h1/shadow/name/anc/"


class Line:
    """A connection without a network."""

    def __init__(self) -> None:
        self.heard: dict[str, Any] = {}
        self.sent: list[tuple[str, Any]] = []
        self.up = True

    def on(self, topic: str, heard: Any) -> None:
        self.heard[topic] = heard

    def publish(self, topic: str, payload: bytes) -> bool:
        self.sent.append((topic, json.loads(payload)))
        return self.up

    def arrive(self, topic: str, document: Any) -> None:
        payload = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.heard[PREFIX + topic](payload)


class Headset:
    """A shadow in step with a line, and what came of it."""

    def __init__(self) -> None:
        self.line = Line()
        self.wishes: list[tuple[Desired, int | None]] = []
        self.refusals: list[Refused] = []
        self.now = 0.0
        self.shadow = ShadowClient(
            "h1",
            self.line,  # type: ignore[arg-type]
            lambda change, seq: self.wishes.append((change, seq)),
            self.refusals.append,
            lambda: self.now,
        )


@pytest.fixture
def headset() -> Headset:
    return Headset()


def delta(version: int, **state: Any) -> dict[str, Any]:
    return {"version": version, "state": state, "timestamp": 1}


def test_a_delta_says_what_has_changed(headset: Headset):
    headset.line.arrive("update/delta", delta(3, mode="bypass", intensity=0.5))
    assert headset.wishes == [(Desired(mode="bypass", intensity=0.5), None)]


@pytest.mark.parametrize("versions", [(3, 3), (3, 2), (3, 3, 1, 3)])
def test_a_delta_that_comes_twice_or_late_changes_nothing(headset: Headset, versions: tuple[int, ...]):
    for version in versions:
        headset.line.arrive("update/delta", delta(version, intensity=version / 10))
    assert headset.wishes == [(Desired(intensity=0.3), None)]


def test_the_whole_shadow_says_where_the_numbers_were(headset: Headset):
    state = {"desired": {"mode": "cancel"}, "reported": {"seq": 17}, "delta": {}}
    headset.line.arrive("get/accepted", {"version": 5, "state": state})
    assert headset.wishes == [(Desired(mode="cancel"), 17)]


@pytest.mark.parametrize("seq", [2**32, 10**30, -1, "17", 1.5, None])
def test_a_number_that_no_headset_can_have_reached_is_refused_and_all_else_is_obeyed(
    headset: Headset, seq: Any
):
    state = {"desired": {"mode": "bypass"}, "reported": {"seq": seq}}
    headset.line.arrive("get/accepted", {"version": 5, "state": state})
    assert headset.wishes == [(Desired(mode="bypass"), 0)]
    (refusal,) = headset.refusals
    assert refusal.message.startswith("shadow: reported.seq: ")


def test_a_shadow_made_anew_counts_from_one_again(headset: Headset):
    headset.line.arrive("update/delta", delta(90, mode="bypass"))
    headset.shadow.ask()
    assert headset.line.sent == [(PREFIX + "get", {})]
    headset.line.arrive("get/accepted", {"version": 1, "state": {"desired": {"mode": "cancel"}}})
    assert headset.wishes[-1] == (Desired(mode="cancel"), 0)


def test_an_answer_older_than_a_delta_that_overtook_it_changes_nothing(headset: Headset):
    headset.shadow.ask()
    headset.line.arrive("update/delta", delta(8, mode="bypass"))
    headset.line.arrive("get/accepted", {"version": 7, "state": {"desired": {"mode": "cancel"}}})
    assert [wish for wish, _ in headset.wishes] == [Desired(mode="bypass")]


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
def test_a_message_that_makes_no_sense_is_refused_and_not_used(headset: Headset, document: Any):
    headset.line.arrive("update/delta", document)
    assert headset.wishes == []
    assert len(headset.refusals) == 1


def test_a_report_goes_into_the_reported_state(headset: Headset):
    assert headset.shadow.report(Reported("cancel", 1.0, "", 3))
    [(topic, document)] = headset.line.sent
    assert topic == PREFIX + "update"
    assert document["state"]["reported"]["seq"] == 3


def test_only_who_has_obeyed_the_whole_shadow_since_the_last_asking_is_in_step(headset: Headset) -> None:
    for answer in (
        ("get/accepted", {"version": 5, "state": {"desired": {"mode": "cancel"}}}),
        ("get/rejected", {"code": 404, "message": "No shadow exists with name: 'anc'"}),
    ):
        headset.shadow.ask()
        headset.line.arrive("update/delta", delta(1, mode="bypass"))
        assert not headset.shadow.in_step()
        headset.line.arrive(*answer)
        assert headset.wishes[-1][1] == 0, "the whole of it"
        assert not headset.shadow.in_step()
        headset.shadow.obeyed()
        assert headset.shadow.in_step()


@pytest.mark.parametrize("answer", [b"{", {"code": 429, "message": "Too Many Requests"}])
def test_who_is_not_answered_asks_again_in_a_while_and_takes_no_refusal_for_nothing(
    headset: Headset, answer: Any
) -> None:
    headset.shadow.ask()
    headset.line.arrive("get/rejected", answer)
    assert (headset.shadow.in_step(), len(headset.line.sent)) == (False, 1)
    headset.now += ANSWER_S
    assert (headset.shadow.in_step(), headset.shadow.in_step(), len(headset.line.sent)) == (False, False, 2)
    assert headset.wishes == []


def test_an_answer_that_a_delta_has_overtaken_is_asked_for_again(headset: Headset) -> None:
    headset.shadow.ask()
    headset.line.arrive("update/delta", delta(8, mode="bypass"))
    headset.line.arrive("get/accepted", {"version": 7, "state": {"desired": {"config": {"private": True}}}})
    assert not headset.shadow.in_step()
    assert headset.line.sent == [(PREFIX + "get", {})] * 2


def test_where_there_is_no_shadow_yet_nothing_is_wanted_and_nothing_was_reported(headset: Headset) -> None:
    headset.shadow.ask()
    headset.line.arrive("get/rejected", {"code": 404, "message": "No shadow exists with name: 'anc'"})
    assert headset.wishes == [(Desired(), 0)]
    assert headset.refusals == []
