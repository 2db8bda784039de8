"""Messages of earlier versions are read as those versions read them."""

import json
from typing import Any, get_args

import pytest

from anc import __version__
from anc.schemas import job, messages, path, shadow, telemetry, websocket
from tests import stored_messages
from tests.integration.test_upgrade import contains
from tests.stored_messages import EXAMPLES, FOLDER, examples, read

STORED = sorted(FOLDER.glob("messages-*.json"))


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.stem)
def test_a_message_of_an_earlier_version_is_read_as_before(stored: Any) -> None:
    for each in json.loads(stored.read_text()):
        assert contains(read(each["kind"], each["text"]), each["read"]), each


def test_the_messages_of_this_version_are_stored() -> None:
    stored = FOLDER / f"messages-{__version__}.json"
    assert stored in STORED, "python -m tests.stored_messages"
    assert json.loads(stored.read_text()) == examples()


def test_every_kind_of_message_has_an_example() -> None:
    assert set(EXAMPLES) == set(stored_messages.READERS)
    queued = {each["kind"] for kind in EXAMPLES if kind.startswith("message") for each in EXAMPLES[kind]}
    # Files are announced by S3, not by the platform.
    assert queued == {kind.__struct_config__.tag for kind in get_args(messages.Message)} - {"files_arrived"}
    frames = {each["action"] for each in EXAMPLES["frame"]}
    assert frames == {kind.__struct_config__.tag for kind in get_args(websocket.AnyRequest)}


@pytest.mark.parametrize(
    ("kind", "struct"),
    [
        ("telemetry", telemetry.TelemetryReport),
        ("path", path.MeasuredPath),
        ("desired state", shadow.Desired),
        ("reported state", shadow.Reported),
        ("progress of a job", job.ExecutionUpdate),
        ("job", job.JobDocument),
    ],
)
def test_an_example_has_every_field(kind: str, struct: Any) -> None:
    assert set(EXAMPLES[kind][0]) == set(struct.__struct_encode_fields__)
