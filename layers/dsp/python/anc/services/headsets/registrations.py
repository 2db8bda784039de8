"""Registrations of headsets, and the certificates that belong to them.

A registration is a name together with its owner and the time it was created. A certificate belongs to one
registration. Whatever the order of registering, renewing, claiming and removing a device, and wherever one of
them is interrupted, no certificate of an earlier registration is valid for a later one of the same name.
"""

from collections.abc import Callable
from contextlib import suppress

import msgspec

from anc.headset_records import Control, Device
from anc.ports import Conflict, Dependencies
from anc.schemas.messages import ControlChanged
from anc.schemas.refusal import Refused, refuse
from anc.services.access.quotas import Quota, release
from anc.services.headsets import fleet
from anc.services.updates import retry_on_conflict, retry_or_refuse
from anc.tables import R, Table

MAX_ATTEMPTS = 20  # a headset that keeps changing its records must not prevent its removal or rotation
BUSY = "device: its record keeps changing; try again"
DEVICES = Quota(
    name="devices",
    things="headsets",
    limit=lambda settings: settings.quota_devices,
    table=lambda deps: deps.devices,
    remedy="remove one",
)
CLOCK_STEP_S = 0.001  # IoT rules give the time in milliseconds


def registered(thing: str, deps: Dependencies, at: float | None = None) -> Device | None:
    """Return a device, or None when no device of this name is registered.

    Parameters
    ----------
    thing : str
    at : float, optional
        When a message was published in its name, in seconds since the epoch. Returns None if that was before
        the device's present credentials: then the message came from an earlier owner of the name, or with a
        certificate that has been revoked.
    """
    device = deps.devices.get(thing)
    if device is None or device.removed:
        return None
    if at is not None and at + CLOCK_STEP_S <= device.credentials_at:
        return None
    return device


def issue(device: Device, certificate_id: str, deps: Dependencies, **changes: object) -> Device:
    """Store a certificate as the device's present one, then activate it.

    Because it is stored first, a removal that comes before fails this call, and one that comes after finds
    the certificate and revokes it.

    Raises
    ------
    Refused
        `unknown_device` when this registration ended meanwhile; `in_flight` when the record keeps changing.
    """

    def write() -> Device:
        known = latest(device, deps)
        old = (known.certificate,) if known.certificate not in ("", certificate_id) else ()
        issued = known.replace(
            certificate=certificate_id,
            replaced=(*known.replaced, *old),
            credentials_at=deps.clock(),
            **changes,
        )
        return deps.devices.put(issued)

    stored = retry_or_refuse(write, BUSY)
    deps.things.activate(device.key, certificate_id)
    fleet.record_registration(stored, deps)
    return stored


def latest(device: Device, deps: Dependencies) -> Device:
    """Return a device as it is stored now. Raises Refused, `unknown_device`, when its registration ended."""
    known = registered(device.key, deps)
    if known is None or not _is_same_registration(known, device):
        refuse("unknown_device", f"device: {device.key} was removed meanwhile")
    return known


def revoke_replaced(device: Device, deps: Dependencies) -> None:
    """Revoke the certificates that a device had before its present one.

    Messages published before now are ignored, and the next path is accepted whatever its number.
    """
    deps.things.revoke(device.key, device.replaced)

    def update() -> None:
        known = latest(device, deps)
        left = tuple(each for each in known.replaced if each not in device.replaced)
        deps.devices.put(known.replace(replaced=left, credentials_at=deps.clock(), path_seq=-1))

    with suppress(Refused, Conflict):  # Refused: the device was removed meanwhile
        retry_on_conflict(update, MAX_ATTEMPTS)


def restart_numbers(thing: str, deps: Dependencies) -> None:
    """Accept the next snapshot and telemetry whatever their numbers.

    The holder of a revoked certificate may have used up the highest numbers. Raises Refused: `in_flight`.
    """

    def restarted(known: Control) -> Control:
        filters = tuple(msgspec.structs.replace(each, seq=0) for each in known.filters)
        return known.replace(seq=-1, without_control=-1, filters=filters)

    _change(thing, deps.controls, restarted)
    _change(thing, deps.telemetry, lambda known: known.replace(received=None))
    deps.updates.send(ControlChanged(thing))


def _change(key: str, table: Table[R], change: Callable[[R], R]) -> None:
    def update() -> None:
        known = table.get(key)
        if known is not None:
            table.put(change(known))

    retry_or_refuse(update, BUSY, MAX_ATTEMPTS)


def unregister(device: Device, deps: Dependencies) -> None:
    """Mark a registration as removed, and finish its removal. Idempotent; resumes an interrupted removal.

    Raises
    ------
    Refused
        `in_flight` when its record keeps changing.
    """

    def mark_removed() -> Device | None:
        known = deps.devices.get(device.key)
        if known is None or not _is_same_registration(known, device):
            return None  # already removed
        return known if known.removed else deps.devices.put(known.replace(removed=True))

    marked = retry_or_refuse(mark_removed, BUSY, MAX_ATTEMPTS)
    if marked:
        finish_removal(marked, deps)


def finish_removal(device: Device, deps: Dependencies) -> None:
    """Revoke the certificates of a removed device, delete its records, and release its name last."""
    if clear(device, deps):
        with suppress(Conflict):  # already finished, and the name is registered again
            deps.devices.delete(device.key, device.version)
            release(DEVICES, device.key, device.group, deps)


def clear(device: Device, deps: Dependencies) -> bool:
    """Revoke the certificates of a name and delete its records. Return False if it is registered anew."""
    thing = device.key
    certificates = deps.things.certificates(thing)
    now = deps.devices.get(thing)
    if now is None or now.version != device.version:
        return False  # the certificates may be those of the next registration
    deps.things.revoke(thing, {*certificates, *device.replaced, device.certificate} - {""})
    deps.fleet_index.remove(thing)
    deps.things.remove(thing)
    deps.controls.delete(thing)
    deps.telemetry.delete(thing)
    deps.statuses.delete(thing)
    return True


def _is_same_registration(one: Device, other: Device) -> bool:
    return (one.group, one.created) == (other.group, other.created)
