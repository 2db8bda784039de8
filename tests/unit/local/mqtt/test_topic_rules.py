"""Topic rules."""

import base64
import json
import time

import pytest

from anc.schemas.messages import (
    PathPublished,
    PresenceChanged,
    ProcessorMessage,
    ShadowRejected,
    SnapshotPublished,
    TelemetryPublished,
    decode,
)
from functions.routes import RULES, Rule
from local.mqtt.topic_rules import TopicRules


class FakeQueue(list):
    """A queue that records its messages."""

    def put(self, body):
        self.append(body)


class OtherRule(Rule):
    """A rule with a statement of its own."""

    sql = ""


def rule(sql: str, topic: str = "anc/+/snapshot") -> Rule:
    other = OtherRule("r", "k", topic, 2, "q")
    other.sql = sql
    return other


@pytest.mark.parametrize("topic", ["$aws/rules/anc_snapshot/anc/h1/snapshot", "anc/h1/snapshot"])
def test_a_snapshot_is_queued_as_the_rule_selects(topic: str):
    queue = FakeQueue()
    before = int(time.time() * 1000)
    TopicRules(RULES, {"snapshots": queue, "reports": FakeQueue()}).take(topic, b"\x00\xffANC1")
    [body] = queue
    assert body.keys() == {"kind", "thing", "at", "payload"}
    assert base64.b64decode(body["payload"]) == b"\x00\xffANC1"
    assert body["thing"] == "h1"
    assert before <= body["at"] <= (time.time() + 1) * 1000  # a clock may be set back


@pytest.mark.parametrize("topic", ["anc/h1/event", "anc/h1/x/snapshot", "$aws/rules/other/anc/h1/snapshot"])
def test_a_message_on_another_topic_reaches_no_queue(topic: str):
    queue = FakeQueue()
    TopicRules(RULES, {"snapshots": queue, "reports": queue}).take(topic, b"x")
    assert queue == []


@pytest.mark.parametrize("topic", ["$aws/rules/anc_telemetry/anc/h1/telemetry", "anc/h1/telemetry"])
def test_telemetry_is_queued_with_the_thing_of_its_topic(topic: str):
    queue = FakeQueue()
    TopicRules(RULES, {"snapshots": FakeQueue(), "reports": queue}).take(topic, b"{}")
    [body] = queue
    assert (body["thing"], base64.b64decode(body["payload"])) == ("h1", b"{}")


def test_each_rule_makes_a_message_of_its_own_kind():
    queue = FakeQueue()
    rules = TopicRules(RULES, {"snapshots": queue, "reports": queue})
    for rule in RULES:
        rules.take(rule.topic.replace("+", "h1"), b"\x00\xff")
    messages = [decode(json.dumps(body), ProcessorMessage) for body in queue]
    assert [type(message) for message in messages] == [
        SnapshotPublished,
        TelemetryPublished,
        PathPublished,
        PresenceChanged,
        ShadowRejected,
    ]
    assert all((message.thing, message.payload) == ("h1", b"\x00\xff") for message in messages)


def test_presence_events_are_sent_to_the_same_queue():
    queue = FakeQueue()
    TopicRules(RULES, {"snapshots": FakeQueue(), "reports": queue}).take(
        "$aws/events/presence/connected/h1", b"{}"
    )
    [body] = queue
    assert (body["kind"], body["thing"], base64.b64decode(body["payload"])) == ("presence", "h1", b"{}")


def test_a_rejected_shadow_update_is_queued_with_its_thing():
    queue = FakeQueue()
    topic = "$aws/things/h1/shadow/name/anc/update/rejected"
    TopicRules(RULES, {"snapshots": FakeQueue(), "reports": queue}).take(topic, b"{}")
    [body] = queue
    assert (body["thing"], base64.b64decode(body["payload"])) == ("h1", b"{}")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM 'anc/+/snapshot'",
        "SELECT encode(*, 'hex') AS data FROM 'anc/+/snapshot'",
        "SELECT topic(2) AS thing, clientid() AS id FROM 'anc/+/snapshot'",
        "SELECT topic(2) AS thing FROM 'anc/+/snapshot' WHERE topic(2) = 'h1'",
        "SELECT topic(2) AS thing FROM 'anc/+/other'",
        "SELECT 'it''s' AS kind FROM 'anc/+/snapshot'",
        "SELECT 'snapshot' FROM 'anc/+/snapshot'",
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_rejected_by_name(sql: str):
    with pytest.raises(ValueError, match="rule r: cannot evaluate"):
        TopicRules([rule(sql)], {"q": FakeQueue()})
