"""The headset's client of its named shadow: applies desired state in order, reports its own state.

Order follows the shadow's version, not clocks. Messages may arrive twice, late and out of order.
"""

import time
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Any

import msgspec

from anc.schemas.refusal import Refused, parse_json, refuse
from anc.schemas.shadow import SHADOW, Desired, Reported, desired_of, merge
from anc.schemas.snapshot import MQTT_PAYLOAD_LIMIT
from iot.snapshot_sequence import MAX_SEQ
from iot.transport import Transport

RESPONSE_TIMEOUT_S = 5.0


class Delta(msgspec.Struct, frozen=True):
    """A message on `update/delta`."""

    state: dict[str, Any]
    version: int


class ShadowState(msgspec.Struct, frozen=True):
    """The state in a message on `get/accepted`."""

    desired: dict[str, Any] = {}
    reported: dict[str, Any] = {}


class ShadowDocument(msgspec.Struct, frozen=True):
    """A message on `get/accepted`."""

    state: ShadowState
    version: int


class GetRejected(msgspec.Struct, frozen=True):
    """A message on `get/rejected`; `code` is an HTTP status."""

    code: int


class ShadowClient:
    """Synchronise a headset with its shadow `anc`.

    Parameters
    ----------
    thing : str
    transport : Transport
    on_desired : callable
        `on_desired(change, reported_seq)` receives the changed fields of a newer desired state.
        `reported_seq` is the sequence number in the shadow's reported state (0 if missing or invalid), or
        None for a delta.
    on_refused : callable
        `on_refused(refusal)` receives the reason why a message was invalid; the message is ignored.
    clock : callable
        Current time in seconds.
    """

    def __init__(
        self,
        thing: str,
        transport: Transport,
        on_desired: Callable[[Desired, int | None], None],
        on_refused: Callable[[Refused], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prefix = f"$aws/things/{thing}/shadow/name/{SHADOW}/"
        self._transport = transport
        self._on_desired = on_desired
        self._on_refused = on_refused
        self._clock = clock
        self._version = 0
        self._desired: dict[str, Any] = {}
        self._reported: dict[str, Any] = {}
        self._in_sync = False
        self._requested_at = 0.0
        transport.subscribe(self._prefix + "update/delta", self._on_delta)
        transport.subscribe(self._prefix + "get/accepted", self._on_document)
        transport.subscribe(self._prefix + "get/rejected", self._on_rejected)

    def request(self) -> None:
        """Request the whole shadow. Call it after each connect, since deltas may have been missed."""
        self._version = 0  # a shadow that was deleted and created again restarts its version at 1
        self._in_sync = False
        self._requested_at = self._clock()
        self._transport.publish(self._prefix + "get", b"{}")

    def in_sync(self) -> bool:
        """Return whether the whole desired state was applied since the last connect.

        Requests the shadow again when no response has arrived within `RESPONSE_TIMEOUT_S`.
        """
        if not self._in_sync and self._clock() >= self._requested_at + RESPONSE_TIMEOUT_S:
            self.request()
        return self._in_sync

    def mark_applied(self) -> None:
        """Record that the whole desired state has been applied."""
        self._in_sync = True

    def report(self, state: Reported, names: Collection[str]) -> bool:
        """Publish the fields in `names` and those that changed since the last report.

        Returns
        -------
        bool
            False when offline.
        """
        current: dict[str, Any] = msgspec.to_builtins(state)
        last = self._reported
        sent = {name: value for name, value in current.items() if name in names or last.get(name) != value}
        document = {"state": {"reported": sent}}
        if not self._transport.publish(self._prefix + "update", msgspec.json.encode(document)):
            return False
        self._reported = current
        return True

    def _on_delta(self, payload: bytes) -> None:
        try:
            delta = _parse(payload, Delta)
            # A delta omits values that are equal on both sides, also within a filter or firmware.
            desired = merge(self._desired, delta.state)
            change = desired_of({name: desired[name] for name in delta.state if name in desired})
        except Refused as refusal:
            self._on_refused(refusal)
            return
        if delta.version > self._version:
            self._version, self._desired = delta.version, desired
            self._on_desired(change, None)

    def _on_document(self, payload: bytes) -> None:
        try:
            document = _parse(payload, ShadowDocument)
            change = desired_of(document.state.desired)
        except Refused as refusal:
            self._on_refused(refusal)
            return
        if document.version >= self._version:
            self._version, self._desired = document.version, document.state.desired
            self._on_desired(change, self._valid_seq(document.state.reported.get("seq", 0)))
        elif not self._in_sync:
            self.request()  # a newer delta arrived first, but holds only part of the state

    def _valid_seq(self, seq: Any) -> int:
        """Return the reported sequence number, 0 if it is out of range."""
        if isinstance(seq, int) and 0 <= seq <= MAX_SEQ:
            return int(seq)
        got = f"{seq:,}" if isinstance(seq, int) else type(seq).__name__
        message = f"shadow: reported.seq must be a number between 0 and {MAX_SEQ:,} (got {got})"
        self._on_refused(Refused("bad_field", message))
        return 0

    def _on_rejected(self, payload: bytes) -> None:
        """Treat a missing shadow as an empty one."""
        try:
            rejected = parse_json(payload, GetRejected)
        except Refused as refusal:
            self._on_refused(refusal)
            return
        if rejected.code == HTTPStatus.NOT_FOUND:
            self._on_desired(Desired(), 0)


def _parse(payload: bytes, kind: Any) -> Any:
    if len(payload) > MQTT_PAYLOAD_LIMIT:
        refuse("too_large", f"shadow: must have at most {MQTT_PAYLOAD_LIMIT:,} bytes (got {len(payload):,})")
    return parse_json(payload, kind)
