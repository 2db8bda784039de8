"""The headset's side of its named shadow: what the cloud desires, in order, and what the headset reports.

Order comes from the shadow's version, never from clocks. Messages may come twice, late and out of order.
"""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec

from anc.schemas.refusal import Refused, parse_json
from anc.schemas.shadow import SHADOW, Desired, Reported, parse_desired
from iot.snapshot_sequence import LAST
from iot.transport import Transport

ANSWER_S = 5.0


class Delta(msgspec.Struct, frozen=True):
    """A message on `update/delta`."""

    state: msgspec.Raw
    version: int


class ShadowState(msgspec.Struct, frozen=True):
    """The state in a message on `get/accepted`."""

    desired: msgspec.Raw = msgspec.Raw(b"{}")
    reported: dict[str, Any] = {}


class Document(msgspec.Struct, frozen=True):
    """A message on `get/accepted`."""

    state: ShadowState
    version: int


class Rejection(msgspec.Struct, frozen=True):
    """A message on `get/rejected`: an HTTP status."""

    code: int


class ShadowClient:
    """Keeps a headset and its shadow `anc` in step.

    Parameters
    ----------
    thing : str
    connection : Line
    desired : callable
        `desired(change, reported_seq)`: a newer desired state, as much of it as was sent. `reported_seq` is
        the sequence number that the shadow says this headset had reached (0 where it says none that can be),
        or None in a delta.
    refused : callable
        `refused(refusal)`: a message that made no sense; nothing of it is used.
    clock : callable
        Seconds.
    """

    def __init__(
        self,
        thing: str,
        connection: Transport,
        desired: Callable[[Desired, int | None], None],
        refused: Callable[[Refused], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prefix = f"$aws/things/{thing}/shadow/name/{SHADOW}/"
        self._connection = connection
        self._desired = desired
        self._refused = refused
        self._clock = clock
        self._version = 0
        self._in_step = False
        self._asked = 0.0
        connection.on(self._prefix + "update/delta", self._on_delta)
        connection.on(self._prefix + "get/accepted", self._on_document)
        connection.on(self._prefix + "get/rejected", self._on_rejection)

    def ask(self) -> None:
        """Ask for the whole shadow; after each connecting, since deltas may have been missed."""
        self._version = 0  # the shadow may have been made anew, and counts from 1 again
        self._in_step = False
        self._asked = self._clock()
        self._connection.publish(self._prefix + "get", b"{}")

    def in_step(self) -> bool:
        """Return whether all that is wanted has been obeyed since the last connecting.

        Where nobody answers it is asked for again.
        """
        if not self._in_step and self._clock() >= self._asked + ANSWER_S:
            self.ask()
        return self._in_step

    def obeyed(self) -> None:
        """Take it from who obeys that the whole desired state is in force by now."""
        self._in_step = True

    def report(self, state: Reported) -> bool:
        """Publish what the headset does; False when offline."""
        document = {"state": {"reported": state}}
        return self._connection.publish(self._prefix + "update", msgspec.json.encode(document))

    def _on_delta(self, payload: bytes) -> None:
        try:
            delta = parse_json(payload, Delta)
            change = parse_desired(bytes(delta.state))
        except Refused as refusal:
            self._refused(refusal)
            return
        if delta.version > self._version:
            self._version = delta.version
            self._desired(change, None)

    def _on_document(self, payload: bytes) -> None:
        try:
            document = parse_json(payload, Document)
            change = parse_desired(bytes(document.state.desired))
        except Refused as refusal:
            self._refused(refusal)
            return
        if document.version >= self._version:
            self._version = document.version
            self._desired(change, self._reached(document.state.reported.get("seq", 0)))
        elif not self._in_step:
            self.ask()  # a delta was quicker, and does not tell all

    def _reached(self, seq: Any) -> int:
        """Return the number that this headset had reached; one that none can have is not gone on from."""
        if isinstance(seq, int) and 0 <= seq <= LAST:
            return int(seq)
        told = f"{seq:,}" if isinstance(seq, int) else "no number"
        self._refused(Refused("bad_field", f"shadow: reported.seq: {told}, at most {LAST:,} may be"))
        return 0

    def _on_rejection(self, payload: bytes) -> None:
        """Take it, if there is no shadow yet, that nothing is wanted and nothing was reported."""
        try:
            rejection = parse_json(payload, Rejection)
        except Refused as refusal:
            self._refused(refusal)
            return
        if rejection.code == HTTPStatus.NOT_FOUND:
            self._desired(Desired(), 0)
