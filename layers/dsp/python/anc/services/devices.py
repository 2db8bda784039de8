"""The registry of headsets."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from anc.ports import Conflict, Credentials, World
from anc.records import Control, Device, Mode
from anc.services.identity import Caller
from anc.wire.refusal import refuse
from anc.wire.websocket import DeviceName

MAX_PATH_TAPS = 1024
MAX_CONTROL_TAPS = 1024
LEAST_TAP = 1e-6  # what a path's largest tap must reach: -120 dB
ATTEMPTS = 3


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A headset to be registered.

    Attributes
    ----------
    thing : str
        Its name; letters, digits, `-` and `_`, at most 64.
    model : str
        The maker's name for its kind.
    rate : int
        Hz, at which its control filter runs.
    taps : int
        Of its control filter.
    secondary : list of float
        Its measured secondary path S, driver to error microphone, at `rate`, newest sample first.
    """

    thing: DeviceName
    secondary: Annotated[list[float], Meta(min_length=1, max_length=MAX_PATH_TAPS)]
    model: Annotated[str, Meta(min_length=1, max_length=64)] = "generic"
    rate: Annotated[int, Meta(ge=8_000, le=96_000)] = 16_000
    taps: Annotated[int, Meta(ge=16, le=MAX_CONTROL_TAPS)] = 512


def register(request: Registration, caller: Caller, world: World) -> tuple[Device, Credentials]:
    """Register a headset and issue its certificate. The private key is given out once and never kept.

    Raises
    ------
    Refused
        `exists` when the name is taken; `bad_field` for a secondary path that cannot be one.
    """
    secondary = _path(request.secondary)
    if world.devices.get(request.thing):
        refuse("exists", f"thing: {request.thing} is registered already")
    device = Device(
        key=request.thing,
        group=caller.user,
        model=request.model,
        rate=request.rate,
        taps=request.taps,
        secondary=secondary.tobytes(),
        created=world.clock(),
    )
    try:
        claimed = world.devices.put(
            device
        )  # the name first: who comes second must not touch the first's thing
    except Conflict:
        refuse("exists", f"thing: {request.thing} was registered by somebody else just now")
    # Of an earlier headset of this name, whose last words came late.
    world.controls.delete(request.thing)
    world.telemetry.delete(request.thing)
    world.statuses.delete(request.thing)
    try:
        credentials = world.things.enrol(request.thing)
    except BaseException:
        world.devices.delete(request.thing)
        raise
    stored = world.devices.put(claimed.but(certificate=credentials.certificate_id))
    world.count("devices_registered")
    return stored, credentials


def find(thing: str, caller: Caller, world: World) -> Device:
    """Return a device that is the caller's business. To others it does not exist."""
    device = world.devices.get(thing)
    if device is None or not caller.may_see(device.group):
        refuse("unknown_device", f"device: {thing} is not registered")
    return device


def list_own(caller: Caller, world: World, limit: int = 100, after: str = "") -> Sequence[Device]:
    """Return the caller's devices by name."""
    return world.devices.list(caller.user, limit, after)


def list_of(owner: str, caller: Caller, world: World, limit: int = 100, after: str = "") -> Sequence[Device]:
    """Return the devices of an owner by name; to a listener others have none."""
    return world.devices.list(owner, limit, after) if caller.may_see(owner) else ()


def remove(thing: str, caller: Caller, world: World) -> None:
    """Revoke a headset's certificate and forget it."""
    device = find(thing, caller, world)
    world.things.revoke(device.key, device.certificate)
    world.controls.delete(device.key)
    world.telemetry.delete(device.key)
    world.statuses.delete(device.key)
    world.devices.delete(device.key)
    world.count("devices_removed")


def shadow(thing: str, caller: Caller, world: World) -> dict[str, Any]:
    """Return the shadow document of a headset."""
    device = find(thing, caller, world)
    return world.shadows.get(device.key) or {"state": {}, "version": 0}


def want(thing: str, mode: Mode | None, intensity: float | None, caller: Caller, world: World) -> Control:
    """Have a headset work in another mode or at another intensity; what is None stays.

    The wish is stored and the shadow follows by the queue, as with everything that is wanted of a headset.

    Raises
    ------
    Refused
        `unknown_device`, or `in_flight` when its control kept changing meanwhile.
    """
    device = find(thing, caller, world)
    for _ in range(ATTEMPTS):
        known = world.controls.get(thing) or Control(key=thing, group=device.group)
        wanted = known.but(
            mode=mode or known.mode, intensity=known.intensity if intensity is None else intensity
        )
        try:
            stored = world.controls.put(wanted)
        except Conflict:
            continue  # a snapshot was processed in between
        world.updates.send({"thing": thing})
        return stored
    refuse("in_flight", "device: its snapshots keep coming in between; try again")


def replace_path(thing: str, taps: Sequence[float], caller: Caller, world: World) -> Device:
    """Store a secondary path that was measured anew.

    What was learned of the noise is forgotten, since it was learned through the old path. The filter in use
    stays until the next snapshot: the headset has it, and gives it up by itself if it makes things worse.
    """
    secondary = _path(taps)
    for _ in range(ATTEMPTS):
        try:
            stored = world.devices.put(find(thing, caller, world).but(secondary=secondary.tobytes()))
            known = world.controls.get(thing)
            if known:
                world.controls.put(known.but(statistics=b""))
        except Conflict:
            continue
        world.count("paths_replaced")
        return stored
    refuse("in_flight", "device: it keeps changing; try again")


def _path(taps: Sequence[float]) -> np.ndarray:
    secondary = np.asarray(taps, np.float32)
    if not np.isfinite(secondary).all() or np.abs(secondary).max() < LEAST_TAP:
        refuse("bad_field", f"secondary: must be finite and not all zero; one tap at least is {LEAST_TAP:g}")
    return secondary
