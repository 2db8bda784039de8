"""The registry of headsets."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from anc.dsp.design import MAX_GAIN_DB
from anc.ports import Conflict, Credentials, Dependencies
from anc.records import Control, DesiredConfiguration, DesiredFirmware, Device, HeadsetMode
from anc.sample_rates import MAX_HEADSET_RATE, MIN_RATE
from anc.schemas.messages import ControlChanged
from anc.schemas.path import parse_path
from anc.schemas.refusal import refuse
from anc.schemas.shadow import Configuration, Firmware
from anc.schemas.websocket import DeviceName
from anc.services import connections
from anc.services.access import audit, quotas
from anc.services.access.identity import Caller
from anc.services.headsets import device_models, registrations, secondary_paths
from anc.services.headsets.registrations import registered
from anc.services.headsets.secondary_paths import Secondary
from anc.services.updates import retry_or_refuse

MAX_CONTROL_TAPS = 1024


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

    What is left out is as its model was described; rate and taps of a model that was not are 16 kHz and 512.
    """

    thing: DeviceName
    secondary: Secondary | None = None
    model: Annotated[str, Meta(min_length=1, max_length=64)] = "generic"
    rate: Annotated[int, Meta(ge=MIN_RATE, le=MAX_HEADSET_RATE)] | None = None
    taps: Annotated[int, Meta(ge=16, le=MAX_CONTROL_TAPS)] | None = None


def register(request: Registration, caller: Caller, deps: Dependencies) -> tuple[Device, Credentials]:
    """Register a headset and issue its certificate. The private key is given out once and never kept.

    Raises
    ------
    Refused
        `exists` when the name is taken; `forbidden` when it could be a serial number of a model; `too_many`
        when the caller has as many as one may have; `bad_field` for a secondary path that cannot be one, or a
        rate that is not the model's; `unknown_model` when there is no path, and no model to take it from;
        `unknown_device` when it was removed meanwhile.
    """
    device = create(request, caller, deps)
    try:
        credentials, stored = _certified(device, deps)
    except BaseException:
        registrations.unregister(device, deps)
        raise
    deps.count("devices_registered")
    return stored, credentials


def create(request: Registration, caller: Caller, deps: Dependencies, claimable: bool = False) -> Device:
    """Put a headset into the registry, without a certificate. Raises Refused, as `register`.

    `claimable`: it will come for one itself (`anc.services.headsets.claims`).
    """
    device = _described(request, caller, deps).replace(claimable=claimable)
    known = deps.devices.get(request.thing)
    if known and known.removed:
        registrations.finish_removal(known, deps)  # which was cut short
    elif known:
        refuse("exists", f"thing: {request.thing} is registered already")
    action: audit.Action = "device.expect" if claimable else "device.register"
    if not caller.may("operator"):
        _check_not_reserved(request.thing, deps)
        quotas.reserve(registrations.DEVICES, request.thing, caller.user, deps)
    audit.record(action, request.thing, caller, deps, model=request.model)
    try:
        # The name first: who comes second must not touch the first's thing.
        claimed = deps.devices.put(device)
    except Conflict:
        quotas.release(registrations.DEVICES, request.thing, caller.user, deps)
        refuse("exists", f"thing: {request.thing} was registered by somebody else just now")
    registrations.clear(claimed, deps)  # of an earlier headset of this name, whose last words came late
    return claimed


def _check_not_reserved(thing: str, deps: Dependencies) -> None:
    model = device_models.reserving(thing, deps)
    if model:
        refuse(
            "forbidden",
            f"thing: names with {model.serial_prefix} in front are serial numbers of the model {model.key}, "
            "which operators list; choose another name",
        )


def _described(request: Registration, caller: Caller, deps: Dependencies) -> Device:
    model = deps.device_models.get(request.model)
    if request.secondary is None and model is None:
        refuse("unknown_model", f"model: {request.model} was never described, so `secondary` is needed")
    if model and request.rate not in (None, model.rate):
        refuse("bad_field", f"rate: {request.rate} Hz, headsets of the model {model.key} run at {model.rate}")
    nominal = device_models.nominal(model) if model else None
    secondary = (
        nominal if request.secondary is None else secondary_paths.validated(request.secondary, nominal)
    )
    assert secondary is not None
    return Device(
        key=request.thing,
        group=caller.user,
        model=request.model,
        rate=request.rate or (model.rate if model else 16_000),
        taps=request.taps or (model.taps if model else 512),
        max_gain_db=model.max_gain_db if model else MAX_GAIN_DB,
        secondary=secondary.tobytes(),
        created=deps.clock(),
    )


def find(thing: str, caller: Caller, deps: Dependencies) -> Device:
    """Return a device that is the caller's business. To others it does not exist."""
    device = registered(thing, deps)
    if device is None or not caller.may_see(device.group):
        refuse("unknown_device", f"device: {thing} is not registered")
    return device


def list_own(caller: Caller, deps: Dependencies, limit: int = 100, after: str = "") -> Sequence[Device]:
    """Return the caller's devices by name, with those whose removal was cut short."""
    return deps.devices.list(caller.user, limit, after)


def list_of(
    owner: str, caller: Caller, deps: Dependencies, limit: int = 100, after: str = ""
) -> Sequence[Device]:
    """Return the devices of an owner by name; to a listener others have none."""
    return deps.devices.list(owner, limit, after) if caller.may_see(owner) else ()


def remove(thing: str, caller: Caller, deps: Dependencies) -> None:
    """Revoke a headset's certificates and forget it.

    The record is marked first: from then on nobody may use the device, no certificate is issued for it, and
    nobody else may have its name. It is deleted last. Cut short at any point, the same request finishes it,
    and so does whoever registers the name.
    """
    device = deps.devices.get(thing)
    if device is None or not caller.may_see(device.group):
        refuse("unknown_device", f"device: {thing} is not registered")
    audit.record("device.remove", thing, caller, deps, owner=device.group)
    registrations.unregister(device, deps)
    connections.end_watches(device.key, deps)
    deps.count("devices_removed")


def rotate_credentials(thing: str, caller: Caller, deps: Dependencies) -> Credentials:
    """Give a headset a new certificate; from then on the old one is useless, and its connection is cut.

    Snapshots, paths and telemetry may be numbered from any number on again. Cut short at any point, one
    certificate works that the registry knows, and it may be done again.
    """
    device = find(thing, caller, deps)
    audit.record("device.credentials", thing, caller, deps, owner=device.group)
    credentials, issued = _certified(device, deps, claimable=False)
    registrations.revoke_replaced(issued, deps)
    registrations.restart_numbers(thing, deps)
    deps.count("certificates_rotated")
    return credentials


def _certified(device: Device, deps: Dependencies, **changes: object) -> tuple[Credentials, Device]:
    credentials = deps.things.create(device.key)
    try:
        return credentials, registrations.issue(device, credentials.certificate_id, deps, **changes)
    except BaseException:
        deps.things.revoke(device.key, [credentials.certificate_id])
        raise


def shadow(thing: str, caller: Caller, deps: Dependencies) -> dict[str, Any]:
    """Return the shadow document of a headset."""
    device = find(thing, caller, deps)
    return deps.shadows.get(device.key) or {"state": {}, "version": 0}


class ShadowUpdate(msgspec.Struct, frozen=True):
    """What shall be otherwise about a headset; what is None stays, in `config` too."""

    mode: HeadsetMode | None = None
    intensity: float | None = None
    config: Configuration | None = None
    firmware: Firmware | None = None


def update_desired(thing: str, wish: ShadowUpdate, caller: Caller, deps: Dependencies) -> Control:
    """Have a headset work in another way, or on another firmware.

    The wish is stored and the shadow follows by the queue, as with everything that is wanted of a headset.

    Raises
    ------
    Refused
        `unknown_device`; `forbidden` when a listener wishes for firmware, or somebody but the owner for sound
        in place of statistics; `in_flight` when its control kept changing meanwhile.
    """
    device = find(thing, caller, deps)
    if wish.firmware and not caller.may("operator"):
        refuse("forbidden", f"firmware: this takes operator, you are {caller.role}")
    if wish.config and wish.config.private is False and caller.user != device.group:
        refuse("forbidden", "config.private: only the headset's owner may have it send sound")
    _note(thing, wish, caller, deps)

    def update() -> Control:
        known = deps.controls.get(thing) or Control(key=thing, group=device.group)
        wanted = known.replace(
            mode=wish.mode or known.mode,
            intensity=known.intensity if wish.intensity is None else wish.intensity,
            config=_with_changes(known.config, wish.config) if wish.config else known.config,
            firmware=DesiredFirmware(**msgspec.structs.asdict(wish.firmware))
            if wish.firmware
            else known.firmware,
        )
        return deps.controls.put(wanted)

    stored = retry_or_refuse(update, "device: snapshots of it keep being processed meanwhile; try again")
    deps.updates.send(ControlChanged(thing))
    return stored


def _with_changes(config: DesiredConfiguration, change: Configuration) -> DesiredConfiguration:
    changes = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    return msgspec.structs.replace(config, **changes)


def _note(thing: str, wish: ShadowUpdate, caller: Caller, deps: Dependencies) -> None:
    if wish.config and wish.config.private is not None:
        audit.record("device.privacy", thing, caller, deps, private=str(wish.config.private).lower())
    if wish.firmware:  # without its URL, which may carry a permission
        version, sha256 = wish.firmware.version, wish.firmware.sha256
        audit.record("device.firmware", thing, caller, deps, version=version, sha256=sha256)


def replace_path(
    thing: str, taps: Sequence[float], rate: int | None, caller: Caller, deps: Dependencies
) -> Device:
    """Store a secondary path that was measured anew.

    What was learned of the noise is forgotten, since it was learned through the old path. The filter in use
    stays until the next snapshot: the headset has it, and gives it up by itself if it makes things worse.

    Raises
    ------
    Refused
        `bad_field` for another rate than the headset's, or a path that cannot be one of its model
        (`anc.services.headsets.secondary_paths`).
    """
    return _replace_path(find(thing, caller, deps), taps, rate, deps)


def store_measured_path(thing: str, payload: bytes, deps: Dependencies, at: float | None = None) -> Device:
    """Store the secondary path that a headset measured itself, and published at `at`. Again changes nothing.

    Raises
    ------
    Refused
        `unknown_device`, `poor_fit` when too little of what was heard was the driver's doing, and as
        `replace_path`.
    """
    device = registered(thing, deps, at) or refuse("unknown_device", f"thing: {thing} is not registered")
    path = parse_path(payload)
    return _replace_path(device, path.secondary, path.rate, deps, path.seq)


def _replace_path(
    device: Device, taps: Sequence[float], rate: int | None, deps: Dependencies, seq: int | None = None
) -> Device:
    if rate not in (None, device.rate):
        refuse("bad_field", f"rate: must be {device.rate} Hz, as registered (got {rate})")
    model = deps.device_models.get(device.model)
    secondary = secondary_paths.validated(taps, device_models.nominal(model) if model else None).tobytes()

    def update() -> tuple[Device, bool]:
        latest = registrations.latest(device, deps)
        old = seq is not None and seq <= latest.path_seq
        same = latest.secondary == secondary
        if old or (same and seq is None):
            return latest, False
        known = deps.controls.get(device.key)
        if known and not same:
            deps.controls.put(known.replace(statistics=b""))
        path_seq = latest.path_seq if seq is None else seq
        return deps.devices.put(latest.replace(secondary=secondary, path_seq=path_seq)), not same

    stored, replaced = retry_or_refuse(update, registrations.BUSY)
    if replaced:
        deps.count("paths_replaced")
    return stored
