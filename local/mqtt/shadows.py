"""`anc.ports.Shadows` on SQLite, and the device shadow service that headsets talk to over MQTT.

References
----------
AWS IoT Core Developer Guide, "Device Shadow service documents" and "Device Shadow MQTT topics". Left out:
per-field metadata timestamps, `update/documents` and `delete`.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from anc.schemas.refusal import Refused, parse_json, refuse
from anc.schemas.shadow import DOCUMENT_LIMIT, SHADOW
from local.storage.database import Database

MAX_DEPTH = 8
HTTP_STATUS = {"too_large": 413, "conflict": 409, "not_found": 404}


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The state of an update request: a section that is null is removed, one that is absent stays."""

    desired: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    reported: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


class UpdateRequest(msgspec.Struct, frozen=True, rename={"client_token": "clientToken"}):
    """What a headset publishes to `update`. `version` makes it conditional."""

    state: Section
    version: int | None = None
    client_token: str | None = None


class GetRequest(msgspec.Struct, frozen=True, rename={"client_token": "clientToken"}):
    """What a headset publishes to `get`; often nothing at all."""

    client_token: str | None = None


def shadow_prefix(thing: str) -> str:
    """Return what the topics of a thing's named shadow start with."""
    return f"$aws/things/{thing}/shadow/name/{SHADOW}/"


class LocalShadows:
    """The named shadow `anc` of each thing.

    Parameters
    ----------
    database : Database
    publish : callable
        `publish(topic, payload)`, from any thread, in the order of the calls; the broker's.
    """

    def __init__(
        self, database: Database, publish: Callable[[str, bytes], None] = lambda topic, payload: None
    ) -> None:
        self.publish = publish
        self._database = database
        self._in_order = threading.Lock()
        database.connection.execute(
            "CREATE TABLE IF NOT EXISTS shadows"
            " (thing TEXT PRIMARY KEY, version INTEGER NOT NULL, state TEXT NOT NULL) WITHOUT ROWID"
        )

    def get(self, thing: str) -> dict[str, Any] | None:
        """See `anc.ports.Shadows`."""
        version, state = self._read(thing)
        return {"state": with_delta(state), "version": version} if version else None

    def update(self, thing: str, desired: Mapping[str, Any]) -> None:
        """See `anc.ports.Shadows`. Raises Refused (`too_large`), and then changes nothing."""
        self._update(thing, UpdateRequest(Section(desired=dict(desired))))

    def forget(self, thing: str) -> None:
        """Remove a thing's shadow."""
        self._database.connection.execute("DELETE FROM shadows WHERE thing = ?", (thing,))

    def request(self, thing: str, operation: str, payload: bytes) -> bool:
        """Do what a headset published to `get` or `update`, and publish the answer.

        Returns
        -------
        bool
            False when the request was wrong; every refusal is answered on `rejected`, as in AWS IoT.
        """
        token = None
        try:
            if len(payload) > DOCUMENT_LIMIT:
                refuse("too_large", f"shadow: {len(payload):,} bytes, at most {DOCUMENT_LIMIT:,}")
            if operation == "update":
                request = parse_json(payload, UpdateRequest)
                token = request.client_token
                self._update(thing, request)
            else:
                token = parse_json(payload or b"{}", GetRequest).client_token
                document = self.get(thing) or refuse("not_found", f"No shadow exists with name: '{SHADOW}'")
                self._answer(thing, "get/accepted", document, token)
        except Refused as refusal:
            error = {"code": HTTP_STATUS.get(refusal.code, 400), "message": refusal.message}
            self._answer(thing, f"{operation}/rejected", error, token)
            return refusal.code == "not_found"  # as a headset finds it when it comes for the first time
        return True

    def _read(self, thing: str) -> tuple[int, dict[str, Any]]:
        row = self._database.connection.execute(
            "SELECT version, state FROM shadows WHERE thing = ?", (thing,)
        ).fetchone()
        return (row[0], json.loads(row[1])) if row else (0, {})

    def _update(self, thing: str, request: UpdateRequest) -> None:
        change = msgspec.to_builtins(request.state)
        if depth(change) > MAX_DEPTH + 1:  # of each section, as AWS IoT counts
            refuse("too_deep", f"state: nested deeper than {MAX_DEPTH} levels")
        with self._in_order:  # so that no later version is published before this one
            version, state = self._commit(thing, change, request.version)
            self._answer(
                thing, "update/accepted", {"state": change, "version": version}, request.client_token
            )
            delta = difference(state.get("desired", {}), state.get("reported", {}))
            if delta:
                self._answer(
                    thing, "update/delta", {"state": delta, "version": version}, request.client_token
                )

    def _commit(self, thing: str, change: dict[str, Any], expected: int | None) -> tuple[int, dict[str, Any]]:
        with self._database.writing() as connection:
            version, old = self._read(thing)
            if expected is not None and expected != version:
                refuse("conflict", f"version: {expected}, the shadow has {version}")
            state = merge(old, change)
            text = json.dumps(state, separators=(",", ":"))
            if len(text.encode()) > DOCUMENT_LIMIT:
                refuse("too_large", f"shadow: {len(text.encode()):,} bytes, at most {DOCUMENT_LIMIT:,}")
            connection.execute(
                "INSERT INTO shadows VALUES (?, ?, ?)"
                " ON CONFLICT (thing) DO UPDATE SET version = excluded.version, state = excluded.state",
                (thing, version + 1, text),
            )
        return version + 1, state

    def _answer(self, thing: str, stub: str, document: Mapping[str, Any], token: str | None) -> None:
        answer = {**document, "timestamp": int(time.time())}
        if token is not None:
            answer["clientToken"] = token
        self.publish(shadow_prefix(thing) + stub, json.dumps(answer, separators=(",", ":")).encode())


def merge(old: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` changed: objects merge key by key, null removes, anything else replaces."""
    merged = dict(old)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def difference(desired: Mapping[str, Any], reported: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of `desired` is not so in `reported`: arrays whole, of objects the keys that differ."""
    delta: dict[str, Any] = {}
    for key, value in desired.items():
        there = reported.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            below = difference(value, there)
            if below:
                delta[key] = below
        elif key not in reported or value != there:
            delta[key] = value
    return delta


def with_delta(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state as `get` shows it."""
    delta = difference(state.get("desired", {}), state.get("reported", {}))
    return {**state, "delta": delta} if delta else dict(state)


def depth(value: Any) -> int:
    """Return how deep a JSON value nests; a plain value has depth 0."""
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if below is None else 1 + max(map(depth, below), default=0)
