"""What a dead letter says, without its sound, and the message that redrives it.

Dead letters have three formats: messages of the platform, event notifications of S3, and what AWS IoT writes
when a rule could not put a message into its queue. The last one has the original topic and payload, from
which the message of the rule is made.

References
----------
AWS IoT Core Developer Guide, "Error handling (error action)".
"""

import json
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from anc.schemas.messages import FilesArrived, MalformedMessage, decode
from functions.routes import RULES, Rule
from local.mqtt.topic_rules import BASIC_INGEST

# Fields that hold no sound. All others are shown as their size only.
SHOWN = ("kind", "thing", "at", "job", "owner", "seq", "label", "ruleName", "topic", "clientId", "Event")
MAX_SHOWN = 200  # characters
MAX_REASON = 500


class DeadLetter(NamedTuple):
    """A dead letter.

    Attributes
    ----------
    id : str
        Unique in its queue.
    body : str
    at : float
        When it was first sent (AWS) or became a dead letter (one machine), in seconds since the epoch.
    handle : str
        What identifies it to its queue.
    """

    id: str
    body: str
    at: float
    handle: str


class RuleFailure(msgspec.Struct, frozen=True, rename="camel"):
    """What AWS IoT writes for a message that a rule could not forward."""

    rule_name: str
    topic: str
    original: str = msgspec.field(name="base64OriginalPayload")
    failures: list[dict[str, Any]] = []


def described(letter: DeadLetter) -> dict[str, Any]:
    """Return the fields of a dead letter that are not sound; of the others, their size in characters."""
    document = _document(letter.body)
    if document is None:
        return {"problem": "not a JSON object", "characters": len(letter.body)}
    shown = {name: _shown(name, value) for name, value in document.items() if name != "failures"}
    with suppress(MalformedMessage):
        shown["Records"] = ", ".join(decode(letter.body, FilesArrived).keys)
    failure = _rule_failure(document)
    if failure:
        shown["reason"] = "; ".join(
            f"{each.get('failedAction', '')}: {each.get('errorMessage', '')}" for each in failure.failures
        )[:MAX_REASON]
    return shown


def redriven(letter: DeadLetter) -> str:
    """Return the body that the queue's function understands.

    Raises
    ------
    ValueError
        If a rule that no longer exists could not forward the message.
    """
    failure = _rule_failure(_document(letter.body))
    if failure is None:
        return letter.body
    rule = _rule(failure.rule_name)
    topic = failure.topic
    if topic.startswith(BASIC_INGEST):  # of which functions of the rule see only what follows the rule's name
        topic = topic.removeprefix(BASIC_INGEST).partition("/")[2]
    levels = topic.split("/")
    if len(levels) < rule.thing_level:
        raise ValueError(f"topic: must have at least {rule.thing_level} levels (got {topic})")
    thing = levels[rule.thing_level - 1]
    message = {"kind": rule.kind, "thing": thing, "at": int(letter.at * 1000), "payload": failure.original}
    return json.dumps(message)


def _rule(name: str) -> Rule:
    """Return the rule with a name, which ends with the environment on AWS."""
    found = [rule for rule in RULES if name == rule.name or name.startswith(f"{rule.name}_")]
    if not found:
        raise ValueError(f"rule: must be one of {', '.join(rule.name for rule in RULES)} (got {name})")
    return max(found, key=lambda rule: len(rule.name))


def _rule_failure(document: dict[str, Any] | None) -> RuleFailure | None:
    try:
        return msgspec.convert(document, RuleFailure)
    except msgspec.ValidationError:
        return None


def _document(body: str) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _shown(name: str, value: Any) -> Any:
    if name in SHOWN and len(str(value)) <= MAX_SHOWN:
        return value
    return f"({len(str(value)):,} characters)"
