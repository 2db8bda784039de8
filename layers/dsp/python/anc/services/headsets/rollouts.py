"""Rollouts of firmware or configuration: create, list, pause, resume and cancel them.

`anc.services.headsets.rollout_steps` carries them out, one step a minute.
"""

import secrets
from collections.abc import Sequence
from typing import Literal

import msgspec

from anc.fleet_records import FleetQuery
from anc.headset_records import DesiredConfiguration, DesiredFirmware
from anc.lifetimes import DAY_S
from anc.ports import Dependencies
from anc.rollout_records import Rollout, RolloutBatch, RolloutState
from anc.schemas.refusal import refuse
from anc.services.access import audit
from anc.services.access.identity import Caller
from anc.services.headsets import registrations, rollout_steps
from anc.services.headsets.rollout_steps import GROUP
from anc.services.updates import retry_or_refuse

MAX_HEADSETS = 20_000
MAX_FLEETING = 2_000  # headsets that the request itself selects: 20 searches and 20 writes
LIFETIME_S = 365 * DAY_S
ACTIONS: dict[str, tuple[RolloutState, audit.Action]] = {
    "pause": ("paused", "rollout.pause"),
    "resume": ("active", "rollout.resume"),
    "cancel": ("cancelled", "rollout.cancel"),
}
Action = Literal["pause", "resume", "cancel"]


class RolloutRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout to be created; the fields are those of `anc.rollout_records.Rollout`."""

    name: str
    firmware: DesiredFirmware | None
    config: DesiredConfiguration | None
    query: FleetQuery
    things: tuple[str, ...] = ()
    canary_percent: float
    soak_minutes: float
    per_minute: int
    max_failed_percent: float
    max_drop_db: float


def create(request: RolloutRequest, caller: Caller, deps: Dependencies) -> Rollout:
    """Create a rollout.

    Its first step, within a minute, selects its headsets. Those of a fleeting query are selected here: a
    minute later, thousands may be offline that were not when the user looked.

    Raises
    ------
    Refused
        `bad_field` when it has not exactly one of firmware and configuration, or turns off private mode, or
        has both a query and things, or no headset matches; `unknown_device` for an unknown thing;
        `too_large` when more than `MAX_HEADSETS` match, or `MAX_FLEETING` for a fleeting query.
    """
    _check_content(request)
    matching = _number_of_things(request, deps) if request.things else deps.fleet_index.count(request.query)
    if not matching:
        refuse("bad_field", "query: no headset matches; see GET /api/fleet with the same conditions")
    _check_size(matching, request.query)
    now = deps.clock()
    rollout = Rollout(
        key=f"{int(now * 1000):014d}-{secrets.token_hex(4)}",
        group=GROUP,
        expires=now + LIFETIME_S,
        created=now,
        created_by=caller.user,
        changed=now,
        changed_by=caller.user,
        headsets=matching,
        **msgspec.structs.asdict(request),
    )
    if request.query.is_fleeting:
        rollout = rollout_steps.planned(rollout, deps)
    audit.record("rollout.create", rollout.key, caller, deps, **_described(rollout))
    stored = deps.rollouts.put(rollout)
    deps.count("rollouts_created")
    return stored


def _check_content(request: RolloutRequest) -> None:
    if (request.firmware is None) == (request.config is None):
        refuse("bad_field", "firmware: give either firmware or config")
    if request.config == DesiredConfiguration():
        refuse("bad_field", "config: must set at least one field")
    if request.config and request.config.private is False:
        refuse("bad_field", "config.private: must not be false; only a headset's owner may turn it off")


def _check_size(matching: int, query: FleetQuery) -> None:
    if matching > MAX_HEADSETS:
        refuse(
            "too_large",
            f"query: at most {MAX_HEADSETS:,} headsets can be in a rollout ({matching:,} match);"
            " add a condition",
        )
    if matching > MAX_FLEETING and query.is_fleeting:
        refuse(
            "too_large",
            f"query: at most {MAX_FLEETING:,} headsets can be selected by noise, connection, attenuation,"
            f" refusals or reverted filters ({matching:,} match); add a condition",
        )


def _number_of_things(request: RolloutRequest, deps: Dependencies) -> int:
    if request.query != FleetQuery():
        refuse("bad_field", "things: give either things or query")
    for thing in request.things:
        device = registrations.registered(thing, deps)
        if device is None:
            refuse("unknown_device", f"things: {thing} is not registered")
        if not device.has_thing:
            refuse("unknown_device", f"things: {thing} has not been claimed yet")
    return len(request.things)


def _described(rollout: Rollout) -> dict[str, str]:
    """Return what is rolled out, for the audit log: not the firmware's URL, which may contain a signature."""
    detail = {"name": rollout.name, "headsets": str(rollout.headsets)}
    if rollout.firmware:
        return detail | {"version": rollout.firmware.version, "sha256": rollout.firmware.sha256}
    return detail | {"config": msgspec.json.encode(rollout.config).decode()}


def find(id: str, deps: Dependencies) -> Rollout:
    """Return a rollout. Raises Refused, `unknown_rollout`."""
    return deps.rollouts.get(id) or refuse(
        "unknown_rollout", f"rollout: {id} does not exist, or is older than a year"
    )


def list_all(limit: int, after: str, deps: Dependencies) -> Sequence[Rollout]:
    """Return up to `limit` rollouts, the newest first."""
    return deps.rollouts.list(GROUP, limit, after, descending=True)


def list_batches(id: str, limit: int, after: str, deps: Dependencies) -> Sequence[RolloutBatch]:
    """Return up to `limit` batches of a rollout in their order. Raises Refused, `unknown_rollout`."""
    return deps.rollout_batches.list(find(id, deps).key, limit, after)


def change(id: str, action: Action, caller: Caller, deps: Dependencies) -> Rollout:
    """Pause, resume or cancel a rollout. Repeating an action changes nothing.

    A paused rollout gives no further headset its job, but is still watched and stopped. A cancelled one ends
    the jobs of headsets that have not finished.

    Raises
    ------
    Refused
        `unknown_rollout`; `ended` when it has ended otherwise; `in_flight` when it keeps changing.
    """
    state, audited = ACTIONS[action]
    if find(id, deps).state != state:
        audit.record(audited, id, caller, deps)

    def write() -> Rollout:
        latest = find(id, deps)
        if latest.state == state:
            return latest
        if latest.is_final:
            refuse("ended", f"rollout: {id} cannot be changed any more (it is {latest.state})")
        now = deps.clock()
        closing = state == "cancelled"
        changed = latest.replace(
            state=state, reason="", changed=now, changed_by=caller.user, is_closing=closing
        )
        return deps.rollouts.put(changed)

    return retry_or_refuse(write, "rollout: a step of it is being taken; try again")
