"""Queue messages: what is encoded is decoded, formats without `kind` still are, and nothing else is."""

import base64
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc.schemas.endpoint import EndpointRequest
from anc.schemas.messages import (
    ControlChanged,
    FilesArrived,
    MalformedMessage,
    Message,
    PathPublished,
    PresenceChanged,
    ProcessorMessage,
    ReclassificationRequest,
    RecordingFinished,
    RecordingMessage,
    RecordingWaiting,
    SenderMessage,
    ShadowRejected,
    SnapshotPublished,
    TelemetryPublished,
    decode,
    encode,
)

MESSAGES = st.one_of(*(st.from_type(kind) for kind in get_args(Message)))


@given(MESSAGES)
def test_every_message_is_decoded_as_it_was_encoded(message: Message) -> None:
    assert decode(encode(message), Message) == message


def test_every_kind_has_a_tag_of_its_own() -> None:
    tags = [kind.__struct_config__.tag for kind in get_args(Message)]
    assert len(set(tags)) == len(tags)


# Literal texts: messages of these formats may wait in a queue while the platform is upgraded.
@pytest.mark.parametrize(
    ("text", "kinds", "message"),
    [
        (
            '{"data": "QU5DMQ==", "thing": "left", "at": 1800000000000}',
            ProcessorMessage,
            SnapshotPublished("left", b"ANC1", 1_800_000_000_000),
        ),
        ('{"data": "QU5DMQ==", "thing": "left"}', ProcessorMessage, SnapshotPublished("left", b"ANC1")),
        (
            '{"report": "e30=", "thing": "left", "at": 1800000000000}',
            ProcessorMessage,
            TelemetryPublished("left", b"{}", 1_800_000_000_000),
        ),
        (
            '{"path": "e30=", "thing": "left", "at": 1800000000000}',
            ProcessorMessage,
            PathPublished("left", b"{}", 1_800_000_000_000),
        ),
        ('{"presence": "e30=", "thing": "left"}', ProcessorMessage, PresenceChanged("left", b"{}")),
        ('{"presence": "e30="}', ProcessorMessage, PresenceChanged("", b"{}")),
        (
            '{"rejected": "e30=", "thing": "left", "at": 1800000000000}',
            ProcessorMessage,
            ShadowRejected("left", b"{}", 1_800_000_000_000),
        ),
        ('{"job": "j1", "owner": "ann"}', RecordingMessage, RecordingWaiting("j1", "ann")),
        ('{"job": "j1"}', RecordingMessage, RecordingWaiting("j1")),
        ('{"job":"j1"}', SenderMessage, RecordingFinished("j1")),
        ('{"thing":"left"}', SenderMessage, ControlChanged("left")),
        (
            '{"thing":"left","seq":7,"label":"rail","question":{"rate":16000,"pcm":"AAA="}}',
            ReclassificationRequest,
            ReclassificationRequest("left", 7, "rail", EndpointRequest(16_000, "AAA=")),
        ),
    ],
)
def test_a_message_of_a_former_format_is_decoded(text: str, kinds: type, message: Message) -> None:
    assert decode(text, kinds) == message


def test_a_notification_of_s3_names_the_files_that_arrived() -> None:
    notification = """{"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put", "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "anc"},
        "object": {"key": "uploads/a%2Bb+c", "size": 1024, "eTag": "d41d8c", "sequencer": "0055AE"}}}]}"""
    assert decode(notification, RecordingMessage) == FilesArrived(("uploads/a+b c",))


def test_the_test_event_of_s3_names_no_file() -> None:
    event = """{"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2027-01-15T08:00:00.000Z",
        "Bucket": "anc", "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3e"}"""
    assert decode(event, RecordingMessage) == FilesArrived(())


def test_the_published_time_is_in_seconds_where_the_rule_selected_it() -> None:
    assert SnapshotPublished("left", b"", 1_800_000_000_250).published_at == 1_800_000_000.25
    assert SnapshotPublished("left", b"").published_at is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        b"\xff\xfe",
        "[]",
        "{}",
        "null",
        '{"kind": null}',
        '{"kind": 7}',
        '{"kind": "fax", "thing": "left"}',
        '{"kind": "snapshot", "thing": "left"}',
        '{"kind": "snapshot", "thing": "left", "payload": "?"}',
        '{"kind": "telemetry", "thing": "left", "payload": ""}',
        '{"kind": "control_changed", "thing": "left"}',
        '{"thing": "left"}',
        '{"thing": "left", "data": 7}',
        '{"Records": [{}]}',
        '{"Records": {"s3": 1}}',
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_anything_else_is_malformed(text: str | bytes) -> None:
    with pytest.raises(MalformedMessage, match="queue message: "):
        decode(text, ProcessorMessage)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_any_value_of_a_field_is_decoded_or_malformed(value: object) -> None:
    for name in ("kind", "data", "job", "Records", "thing", "question"):
        text = json.dumps({name: value})
        for kinds in (ProcessorMessage, RecordingMessage, SenderMessage, ReclassificationRequest):
            try:
                decode(text, kinds)
            except MalformedMessage:
                continue


def test_the_payload_travels_as_base64() -> None:
    body = json.loads(encode(SnapshotPublished("left", b"\x00\xff", 1)))
    assert base64.b64decode(body.pop("payload")) == b"\x00\xff"
    assert body == {"kind": "snapshot", "thing": "left", "at": 1}
