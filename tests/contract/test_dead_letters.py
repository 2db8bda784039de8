"""Contract of `tools.redrive.stores.DeadLetters`, for SQS and SQLite, and `anc redrive`."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from anc.schemas.messages import ProcessorMessage, decode
from functions.routes import QUEUES, RULES
from local.data_folder import prepare
from local.storage.database import Database
from local.storage.queues import SqliteQueue
from tools.cli.main import app
from tools.redrive.letters import DeadLetter, described, redriven
from tools.redrive.stores import AwsDeadLetters, LocalDeadLetters

SOUND = base64.b64encode(b"spoken words" * 1000).decode()
SNAPSHOT = {"kind": "snapshot", "thing": "left", "at": 1_800_000_000_000, "payload": SOUND}
FAILURE = {
    "ruleName": "anc_snapshot_dev",
    "topic": "anc/left/snapshot",
    "cloudwatchTraceId": "7e146a2c",
    "clientId": "left",
    "base64OriginalPayload": SOUND,
    "failures": [
        {"failedAction": "SqsAction", "failedResource": "queue", "errorMessage": "KMS is throttled"}
    ],
}


def platform_folder(folder: Path) -> Path:
    """Return a data folder of a platform."""
    prepare(folder)
    Database(folder / "anc.db")
    (folder / "issuer.pem").write_text("")
    return folder


@pytest.fixture(params=["sqs", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return `.store`, `.die(body)`, which adds a dead letter of snapshots, and `.waiting()`."""
    if request.param == "sqlite":
        data = platform_folder(tmp_path / "data")
        queue = SqliteQueue(Database(data / "anc.db"), "snapshots", max_receives=1)

        def die(body: Any) -> None:
            queue.put(body)
            (message,) = queue.receive(1)
            queue.failed(message, 0.0)
            assert queue.receive(1) == []

        waiting = lambda: [json.loads(message.body) for message in queue.receive(10)]  # noqa: E731
        return SimpleNamespace(store=LocalDeadLetters(data), die=die, waiting=waiting)
    sqs = request.getfixturevalue("aws")("sqs")
    urls = {}
    for route in QUEUES:
        for kind in ("Queue", "DeadLetters"):
            urls[f"{route.name}{kind}"] = sqs.create_queue(QueueName=f"{route.name}{kind}")["QueueUrl"]
    outputs = [{"OutputKey": name, "OutputValue": url} for name, url in urls.items()]
    stacks = SimpleNamespace(describe_stacks=lambda StackName: {"Stacks": [{"Outputs": outputs}]})

    def received() -> list[Any]:
        answer = sqs.receive_message(QueueUrl=urls["snapshotsQueue"], MaxNumberOfMessages=10)
        return [json.loads(found["Body"]) for found in answer.get("Messages", [])]

    return SimpleNamespace(
        store=AwsDeadLetters("anc-dev", sqs, stacks),
        die=lambda body: sqs.send_message(
            QueueUrl=urls["snapshotsDeadLetters"], MessageBody=json.dumps(body)
        ),
        waiting=received,
    )


def test_dead_letters_are_listed_and_stay_until_they_are_sent(place: Any) -> None:
    for number in range(3):
        place.die({**SNAPSHOT, "thing": f"h{number}"})
    assert place.store.number("snapshots") == 3
    assert place.store.number("updates") == 0
    for _ in range(2):
        letters = place.store.letters("snapshots")
        assert {json.loads(letter.body)["thing"] for letter in letters} == {"h0", "h1", "h2"}
        place.store.close("snapshots", letters)


def test_a_sent_letter_is_processed_again_and_is_no_longer_dead(place: Any) -> None:
    place.die(SNAPSHOT)
    place.die({**SNAPSHOT, "thing": "right"})
    letters = place.store.letters("snapshots")
    first = next(letter for letter in letters if json.loads(letter.body)["thing"] == "left")
    place.store.send("snapshots", first, redriven(first))
    place.store.close("snapshots", [letter for letter in letters if letter is not first])
    assert place.waiting() == [SNAPSHOT]
    assert [json.loads(each.body)["thing"] for each in place.store.letters("snapshots")] == ["right"]


def letter(body: Any, at: float = 1_800_000_000.0) -> DeadLetter:
    return DeadLetter("1", body if isinstance(body, str) else json.dumps(body), at, "1")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("name", ["{}", "{}_prod"])
@pytest.mark.parametrize("prefix", ["", "$aws/rules/any/"])
def test_what_a_rule_could_not_forward_becomes_the_message_of_the_rule(
    rule: Any, name: str, prefix: str
) -> None:
    topic = rule.topic.replace("+", "left")
    failure = {**FAILURE, "ruleName": name.format(rule.name), "topic": prefix + topic}
    message = decode(redriven(letter(failure)), ProcessorMessage)
    assert json.loads(redriven(letter(failure)))["kind"] == rule.kind
    assert (message.thing, message.at) == ("left", 1_800_000_000_000)
    assert message.payload == base64.b64decode(SOUND)


def test_a_failure_of_an_unknown_rule_is_kept() -> None:
    with pytest.raises(ValueError, match=r"rule: must be one of .* \(got other\)"):
        redriven(letter({**FAILURE, "ruleName": "other"}))


QUESTION = {
    "kind": "reclassification",
    "thing": "left",
    "seq": 1,
    "label": "road",
    "question": {"pcm": SOUND},
}


@pytest.mark.parametrize(
    "body", [SNAPSHOT, FAILURE, QUESTION, {"data": SOUND}, {"kind": SOUND}, "not JSON " + SOUND, [SOUND]]
)
def test_a_description_has_no_sound(body: Any) -> None:
    assert SOUND[:40] not in json.dumps(described(letter(body)))


def test_a_description_names_headset_reason_and_files() -> None:
    assert described(letter(SNAPSHOT))["thing"] == "left"
    assert described(letter(FAILURE))["reason"] == "SqsAction: KMS is throttled"
    arrived = {"Records": [{"s3": {"object": {"key": "uploads/job"}}}]}
    assert described(letter(arrived))["Records"] == "uploads/job"


@pytest.fixture
def anc(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs `anc redrive --json` on a data folder with one dead letter."""
    data = platform_folder(tmp_path / "data")
    queue = SqliteQueue(Database(data / "anc.db"), "snapshots", max_receives=1)
    queue.put(FAILURE)
    (message,) = queue.receive(1)
    queue.failed(message, 0.0)
    queue.receive(1)

    def run(*words: str) -> Any:
        answer = CliRunner().invoke(app, ["redrive", *words, "--json", "--data", str(data)])
        assert answer.exit_code == 0, answer.output
        return json.loads(answer.output)

    return run


def test_the_command_lists_shows_and_sends(anc: Callable[..., Any]) -> None:
    assert anc()["snapshots"] == 1
    (listed,) = anc("snapshots")
    assert listed["reason"] == "SqsAction: KMS is throttled"
    assert anc("snapshots", "--show", listed["id"]) == listed
    assert anc("snapshots", "--send", listed["id"]) == {"sent": [listed["id"]], "kept": {}}
    assert anc("snapshots", "--all") == {"sent": [], "kept": {}}
    assert anc()["snapshots"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reports", "--show", "7"], "must be a dead letter of this queue"),
        (["other"], "QUEUE: must be one of"),
    ],
)
def test_an_unknown_queue_or_letter_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    data = platform_folder(tmp_path / "data")
    answer = CliRunner().invoke(app, ["redrive", *words, "--data", str(data)])
    assert answer.exit_code == 2
    assert said in " ".join(answer.output.split())
