"""AWS IoT rules on one machine: evaluate a rule's SQL and put the result into its queue."""

import base64
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from functions.routes import Rule
from local.mqtt.packets import matches

BASIC_INGEST = "$aws/rules/"
_SELECT = re.compile(r"SELECT (?P<columns>.+) FROM '(?P<topic>[^']+)'")
_COLUMN = re.compile(
    r"(?:'(?P<literal>[^']*)'|(?P<payload>encode\(\*, 'base64'\))|topic\((?P<level>[0-9]+)\)|timestamp\(\))"
    r" AS (?P<name>\w+)"
)

Column = Callable[[str, bytes, int], str | int]


class DocumentQueue(Protocol):
    """A queue that takes JSON documents, as `local.storage.queues.SqliteQueue`."""

    def put(self, body: Mapping[str, Any]) -> None:
        """Return when the document is safely stored."""


class TopicRules:
    """Puts MQTT messages into the queues of the rules that they match.

    Parameters
    ----------
    rules : iterable of Rule
    queues : mapping of str to DocumentQueue
        By name; one for each rule.

    Raises
    ------
    ValueError
        When a rule selects anything but `encode(*, 'base64')`, `topic(n)`, `timestamp()` and text literals.
    """

    def __init__(self, rules: Iterable[Rule], queues: Mapping[str, DocumentQueue]) -> None:
        self._rules = [(rule, _columns(rule), queues[rule.queue]) for rule in rules]

    def take(self, topic: str, payload: bytes) -> None:
        """Return when each rule's queue has stored the message. Blocks for as long as that takes."""
        named, _, plain = topic.removeprefix(BASIC_INGEST).partition("/")
        ingested = topic.startswith(BASIC_INGEST)
        now_ms = int(time.time() * 1000)
        for rule, columns, queue in self._rules:
            # A Basic Ingest message is for one rule, and its functions see the topic without the prefix.
            if rule.name == named if ingested else matches(rule.topic, topic):
                seen = plain if ingested else topic
                queue.put({name: column(seen, payload, now_ms) for name, column in columns.items()})


def _columns(rule: Rule) -> dict[str, Column]:
    select = _SELECT.fullmatch(rule.sql)
    if not select or select["topic"] != rule.topic:
        raise ValueError(f"rule {rule.name}: cannot evaluate {rule.sql}")
    found = list(_COLUMN.finditer(select["columns"]))
    if ", ".join(match[0] for match in found) != select["columns"]:
        raise ValueError(f"rule {rule.name}: cannot evaluate {select['columns']}")
    return {match["name"]: _column(match) for match in found}


def _column(match: re.Match[str]) -> Column:
    literal = match["literal"]
    if literal is not None:
        return lambda topic, payload, now_ms: literal
    if match["level"]:
        level = int(match["level"]) - 1
        return lambda topic, payload, now_ms: topic.split("/")[level]
    if match["payload"]:
        return lambda topic, payload, now_ms: base64.b64encode(payload).decode()
    return lambda topic, payload, now_ms: now_ms
