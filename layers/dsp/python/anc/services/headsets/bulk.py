"""Actions on many headsets in one request, with an outcome for each of them.

A headset that cannot be changed does not hold up the others. All actions are idempotent, so a request that
was interrupted is simply repeated.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from aws_lambda_powertools import Logger

from anc.fleet_records import MAX_TAGS
from anc.headset_records import Device
from anc.ports import Dependencies, StorageUnavailable
from anc.schemas.refusal import Refused, refuse
from anc.services.access import audit
from anc.services.access.identity import Caller
from anc.services.headsets import devices, fleet, registrations
from anc.services.updates import retry_or_refuse

BUDGET_S = 15.0  # for all headsets of a request; API Gateway waits 29 s, and AWS throttles removals

logger = Logger(service="bulk")


class Outcome(NamedTuple):
    """What an action did to a headset.

    Attributes
    ----------
    thing : str
    is_changed : bool
        False when it was already so, or the action was refused.
    tags : tuple of str or None
        After a change of tags; None when it was refused.
    refusal : Refused or None
        Why the action was refused.
    """

    thing: str
    is_changed: bool = False
    tags: tuple[str, ...] | None = None
    refusal: Refused | None = None


def change_tags(
    things: Sequence[str], add: Sequence[str], remove: Sequence[str], caller: Caller, deps: Dependencies
) -> Sequence[Outcome]:
    """Give tags to headsets and take others away.

    Raises
    ------
    Refused
        `bad_field` without any tag, or with one in both lists.
    """
    if not add and not remove:
        refuse("bad_field", "add: give at least one tag to add or to remove")
    if both := sorted({*add} & {*remove}):
        refuse("bad_field", f"remove: {both[0]} is also in add")

    def change(thing: str) -> Outcome:
        return _tagged(devices.find(thing, caller, deps), {*add}, {*remove}, caller, deps)

    return _for_each(things, change, deps)


def remove(things: Sequence[str], caller: Caller, deps: Dependencies) -> Sequence[Outcome]:
    """Remove headsets, as `anc.services.headsets.devices.remove`.

    One that is already removed is refused as `unknown_device`, like one that the caller may not see.
    """

    def change(thing: str) -> Outcome:
        devices.remove(thing, caller, deps)
        return Outcome(thing, is_changed=True)

    return _for_each(things, change, deps)


def _for_each(
    things: Sequence[str], change: Callable[[str], Outcome], deps: Dependencies
) -> Sequence[Outcome]:
    ends = deps.clock() + BUDGET_S
    return [
        _attempt(thing, change) if deps.clock() < ends else _not_attempted(thing)
        for thing in dict.fromkeys(things)
    ]


def _attempt(thing: str, change: Callable[[str], Outcome]) -> Outcome:
    try:
        return change(thing)
    except Refused as refusal:
        return Outcome(thing, refusal=refusal)
    except StorageUnavailable:
        raise
    except Exception as fault:  # noqa: BLE001  what the others got must still be reported
        logger.warning("an action on a headset failed", fault=f"{type(fault).__name__}: {fault}")
        return Outcome(thing, refusal=Refused("failed", f"device: {thing}: internal error; try again"))


def _not_attempted(thing: str) -> Outcome:
    message = f"device: {thing} was not attempted, because the others took {BUDGET_S:g} s; repeat the request"
    return Outcome(thing, refusal=Refused("unavailable", message))


def _tagged(device: Device, add: set[str], remove: set[str], caller: Caller, deps: Dependencies) -> Outcome:
    def wanted(known: Device) -> tuple[str, ...]:
        tags = tuple(sorted({*known.tags} - remove | add))
        if len(tags) > MAX_TAGS and len(tags) > len(known.tags):
            refuse(
                "too_large",
                f"tags: a headset has at most {MAX_TAGS} ({device.key} would have {len(tags)}); remove one",
            )
        return tags

    def write() -> tuple[Device, bool]:
        latest = registrations.latest(device, deps)
        if wanted(latest) == latest.tags:
            return latest, False
        return deps.devices.put(latest.replace(tags=wanted(latest))), True

    if wanted(device) != device.tags:
        detail = {"add": " ".join(sorted(add)), "remove": " ".join(sorted(remove))}
        audit.record("device.tags", device.key, caller, deps, owner=device.group, **detail)
    stored, is_changed = retry_or_refuse(write, registrations.BUSY)
    # Also without a change: a repeated request repairs an update of the index that failed.
    fleet.record_tags(stored, sorted(remove), deps)
    return Outcome(device.key, is_changed, stored.tags)
