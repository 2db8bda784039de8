"""`anc.ports.Shadows` on SQLite, and the device shadow service over MQTT.

References
----------
AWS IoT Core Developer Guide, "Device Shadow service documents" and "Device Shadow MQTT topics". Without
per-field metadata timestamps, `update/documents` and `delete`.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from anc.schemas.refusal import Refused, parse_json, refuse
from anc.schemas.shadow import DOCUMENT_LIMIT, SHADOW, check_reported, merge
from local.storage.database import Database

MAX_DEPTH = 8
HTTP_STATUS = {"too_large": 413, "conflict": 409, "not_found": 404}


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state of an update request: null removes a section, an absent one stays unchanged."""

    desired: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    reported: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


class UpdateRequest(msgspec.Struct, frozen=True, rename={"client_token": "clientToken"}):
    """A message on `update`. `version` makes it conditional."""

    state: Section
    version: int | None = None
    client_token: str | None = None


class GetRequest(msgspec.Struct, frozen=True, rename={"client_token": "clientToken"}):
    """A message on `get`; often empty."""

    client_token: str | None = None


def shadow_prefix(thing: str) -> str:
    """Return the prefix of the topics of a thing's named shadow."""
    return f"$aws/things/{thing}/shadow/name/{SHADOW}/"


class LocalShadows:
    """The named shadow `anc` of each thing.

    Parameters
    ----------
    database : Database
    publish : callable
        `publish(topic, payload)` of the broker, called from any thread, in order.
    """

    def __init__(
        self, database: Database, publish: Callable[[str, bytes], None] = lambda topic, payload: None
    ) -> None:
        self.publish = publish
        self._database = database
        self._publish_lock = threading.Lock()
        database.connection.execute(
            "CREATE TABLE IF NOT EXISTS shadows"
            " (thing TEXT PRIMARY KEY, version INTEGER NOT NULL, state TEXT NOT NULL) WITHOUT ROWID"
        )

    def get(self, thing: str) -> dict[str, Any] | None:
        """See `anc.ports.Shadows`."""
        version, state = self._read(thing)
        return {"state": with_delta(state), "version": version} if version else None

    def update(self, thing: str, desired: Mapping[str, Any]) -> None:
        """See `anc.ports.Shadows`. Raises Refused, `too_large`."""
        self._update(thing, UpdateRequest(Section(desired=dict(desired))))

    def delete(self, thing: str) -> None:
        """Delete a thing's shadow."""
        self._database.connection.execute("DELETE FROM shadows WHERE thing = ?", (thing,))

    def request(self, thing: str, operation: str, payload: bytes) -> bool:
        """Handle a request on `get` or `update`, and publish the response.

        Returns
        -------
        bool
            False when the request was invalid. As in AWS IoT, the reason is published on `rejected`.
        """
        token = None
        try:
            if len(payload) > DOCUMENT_LIMIT:
                refuse(
                    "too_large", f"shadow must have at most {DOCUMENT_LIMIT:,} bytes (got {len(payload):,})"
                )
            if operation == "update":
                request = parse_json(payload, UpdateRequest)
                token = request.client_token
                self._update(thing, request)
            else:
                token = parse_json(payload or b"{}", GetRequest).client_token
                document = self.get(thing) or refuse("not_found", f"No shadow exists with name: '{SHADOW}'")
                self._publish(thing, "get/accepted", document, token)
        except Refused as refusal:
            error = {"code": HTTP_STATUS.get(refusal.code, 400), "message": refusal.message}
            self._publish(thing, f"{operation}/rejected", error, token)
            return refusal.code == "not_found"  # normal for a new headset
        return True

    def _read(self, thing: str) -> tuple[int, dict[str, Any]]:
        row = self._database.connection.execute(
            "SELECT version, state FROM shadows WHERE thing = ?", (thing,)
        ).fetchone()
        return (row[0], json.loads(row[1])) if row else (0, {})

    def _update(self, thing: str, request: UpdateRequest) -> None:
        change = msgspec.to_builtins(request.state)
        if depth(change) > MAX_DEPTH + 1:  # per section, as counted by AWS IoT
            refuse("too_deep", f"state must be nested at most {MAX_DEPTH} levels deep")
        with self._publish_lock:  # publish versions in order
            version, state = self._commit(thing, change, request.version)
            self._publish(
                thing, "update/accepted", {"state": change, "version": version}, request.client_token
            )
            delta = difference(state.get("desired", {}), state.get("reported", {}))
            if delta:
                self._publish(
                    thing, "update/delta", {"state": delta, "version": version}, request.client_token
                )

    def _commit(self, thing: str, change: dict[str, Any], expected: int | None) -> tuple[int, dict[str, Any]]:
        with self._database.writing() as connection:
            version, old = self._read(thing)
            if expected is not None and expected != version:
                refuse("conflict", f"version must be {version}, the version of the shadow (got {expected})")
            state = merge(old, change)
            if changed := change.get("reported"):
                check_reported({name: state["reported"].get(name) for name in changed})
            text = json.dumps(state, separators=(",", ":"))
            if len(text.encode()) > DOCUMENT_LIMIT:
                refuse(
                    "too_large",
                    f"shadow must have at most {DOCUMENT_LIMIT:,} bytes (got {len(text.encode()):,})",
                )
            connection.execute(
                "INSERT INTO shadows VALUES (?, ?, ?)"
                " ON CONFLICT (thing) DO UPDATE SET version = excluded.version, state = excluded.state",
                (thing, version + 1, text),
            )
        return version + 1, state

    def _publish(self, thing: str, stub: str, document: Mapping[str, Any], token: str | None) -> None:
        message = {**document, "timestamp": int(time.time())}
        if token is not None:
            message["clientToken"] = token
        self.publish(shadow_prefix(thing) + stub, json.dumps(message, separators=(",", ":")).encode())


def difference(desired: Mapping[str, Any], reported: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of `desired` that differs from `reported`; objects by key, arrays as a whole."""
    delta: dict[str, Any] = {}
    for key, value in desired.items():
        reported_value = reported.get(key)
        if isinstance(value, dict) and isinstance(reported_value, dict):
            nested = difference(value, reported_value)
            if nested:
                delta[key] = nested
        elif key not in reported or value != reported_value:
            delta[key] = value
    return delta


def with_delta(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state with its delta, as in a `get` response."""
    delta = difference(state.get("desired", {}), state.get("reported", {}))
    return {**state, "delta": delta} if delta else dict(state)


def depth(value: Any) -> int:
    """Return the nesting depth of a JSON value; 0 for a scalar."""
    nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if nested is None else 1 + max(map(depth, nested), default=0)
