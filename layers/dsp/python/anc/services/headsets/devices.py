"""The registry of headsets: register, remove, change what is desired of them, store their paths."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from anc.dsp.design import MAX_GAIN_DB
from anc.dsp.statistics import HIGH_PASS_HZ
from anc.headset_records import Control, DesiredConfiguration, DesiredFirmware, Device, HeadsetMode
from anc.ports import Conflict, Credentials, Dependencies
from anc.sample_rates import MAX_HEADSET_RATE, MIN_RATE
from anc.schemas.messages import ControlChanged
from anc.schemas.path import parse_path
from anc.schemas.refusal import Refused, refuse
from anc.schemas.shadow import (
    DOCUMENT_LIMIT,
    Configuration,
    Firmware,
    check_reported,
    max_firmware_url_chars,
)
from anc.schemas.websocket import DeviceName
from anc.services import connections
from anc.services.access import audit, quotas
from anc.services.access.identity import Caller
from anc.services.headsets import (
    device_models,
    device_status,
    fleet,
    registrations,
    secondary_paths,
)
from anc.services.headsets.registrations import registered
from anc.services.headsets.secondary_paths import Secondary
from anc.services.updates import retry_or_refuse

MAX_CONTROL_TAPS = 1024


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A headset to be registered. Omitted fields are taken from its model.

    Attributes
    ----------
    thing : str
        Name; 1 to 64 letters, digits, `-` and `_`.
    model : str
        Name of the model, which need not be stored if `secondary` is given.
    rate : int
        Sample rate of the control filter in Hz; 16,000 without a stored model.
    taps : int
        Length of the control filter; 512 without a stored model.
    secondary : list of float
        Measured secondary path S, driver to error microphone: impulse response at `rate`, tap 0 first.
    """

    thing: DeviceName
    secondary: Secondary | None = None
    model: Annotated[str, Meta(min_length=1, max_length=64)] = "generic"
    rate: Annotated[int, Meta(ge=MIN_RATE, le=MAX_HEADSET_RATE)] | None = None
    taps: Annotated[int, Meta(ge=16, le=MAX_CONTROL_TAPS)] | None = None


def register(request: Registration, caller: Caller, deps: Dependencies) -> tuple[Device, Credentials]:
    """Register a headset and issue its certificate. The private key is returned once and never stored.

    Raises
    ------
    Refused
        `exists` when the name is taken; `forbidden` when it has the serial prefix of a model; `too_many` when
        the caller's quota is used up; `bad_field` for an implausible secondary path, or a rate that is not
        the model's; `unknown_model` when neither a path nor a stored model is given; `unknown_device` when
        the headset was removed meanwhile.
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
    """Add a headset to the registry, without a certificate. Raises Refused, as `register`.

    `claimable`: it will be provisioned by claim (`anc.services.headsets.claims`).
    """
    device = _described(request, caller, deps).replace(claimable=claimable)
    known = deps.devices.get(request.thing)
    if known and known.removed:
        registrations.finish_removal(known, deps)  # which was interrupted
    elif known:
        refuse("exists", f"thing: {request.thing} is already registered")
    action: audit.Action = "device.expect" if claimable else "device.register"
    if not caller.may("operator"):
        _check_not_reserved(request.thing, deps)
        quotas.reserve(registrations.DEVICES, request.thing, caller.user, deps)
    audit.record(action, request.thing, caller, deps, model=request.model)
    try:
        # Take the name before touching the thing: of two requests the second one must not change it.
        claimed = deps.devices.put(device)
    except Conflict:
        quotas.release(registrations.DEVICES, request.thing, caller.user, deps)
        refuse("exists", f"thing: {request.thing} was registered by another request meanwhile")
    registrations.clear(claimed, deps)  # late messages of an earlier headset may have left records
    return claimed


def _check_not_reserved(thing: str, deps: Dependencies) -> None:
    model = device_models.model_reserving(thing, deps)
    if model:
        refuse(
            "forbidden",
            f"thing: names that start with {model.serial_prefix} are reserved for the model {model.key}, "
            "whose serial numbers operators register; choose another name",
        )


def _described(request: Registration, caller: Caller, deps: Dependencies) -> Device:
    model = deps.device_models.get(request.model)
    if request.secondary is None and model is None:
        refuse("unknown_model", f"secondary: required, because the model {request.model} does not exist")
    if model and request.rate not in (None, model.rate):
        refuse("bad_field", f"rate: must be {model.rate} Hz, as the model {model.key} (got {request.rate})")
    nominal = device_models.nominal_path(model) if model else None
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
        lower_limit_hz=model.lower_limit_hz if model else HIGH_PASS_HZ,
        secondary=secondary.tobytes(),
        created=deps.clock(),
    )


def find(thing: str, caller: Caller, deps: Dependencies) -> Device:
    """Return a device that the caller may see. Raises Refused, `unknown_device`, for all others."""
    device = registered(thing, deps)
    if device is None or not caller.may_see(device.group):
        refuse("unknown_device", f"device: {thing} is not registered")
    return device


def list_own(caller: Caller, deps: Dependencies, limit: int = 100, after: str = "") -> Sequence[Device]:
    """Return the caller's devices by name, including those whose removal was interrupted."""
    return deps.devices.list(caller.user, limit, after)


def list_of(
    owner: str, caller: Caller, deps: Dependencies, limit: int = 100, after: str = ""
) -> Sequence[Device]:
    """Return the devices of an owner by name; a listener sees only its own."""
    return deps.devices.list(owner, limit, after) if caller.may_see(owner) else ()


def rename(thing: str, name: str, caller: Caller, deps: Dependencies) -> Device:
    """Change the display name of a headset; "" removes it. Its thing name cannot change.

    Raises
    ------
    Refused
        `unknown_device`; `in_flight` when its record keeps changing.
    """
    device = find(thing, caller, deps)
    audit.record("device.rename", thing, caller, deps, owner=device.group)  # a name may be personal

    def write() -> Device:
        return deps.devices.put(registrations.latest(device, deps).replace(name=name))

    renamed = retry_or_refuse(write, registrations.BUSY)
    fleet.record_registration(renamed, deps)
    return renamed


def remove(thing: str, caller: Caller, deps: Dependencies) -> None:
    """Revoke a headset's certificates and delete all that is stored of it.

    The record is first marked as removed: from then on the device cannot be used, gets no certificate, and
    its name stays taken. The record is deleted last. An interrupted removal is finished by repeating the
    request, or by registering the name again.
    """
    device = deps.devices.get(thing)
    if device is None or not caller.may_see(device.group):
        refuse("unknown_device", f"device: {thing} is not registered")
    audit.record("device.remove", thing, caller, deps, owner=device.group)
    registrations.unregister(device, deps)
    connections.end_watches(device.key, deps)
    deps.count("devices_removed")


def rotate_credentials(thing: str, caller: Caller, deps: Dependencies) -> Credentials:
    """Issue a new certificate for a headset, revoke the old one, and close its connection.

    The sequence numbers of snapshots, paths and telemetry may start anew. When this is interrupted, exactly
    one certificate that the registry knows is valid, and the request can be repeated.
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
    """Return the shadow document of a headset.

    AWS IoT stores whatever a headset reports. An invalid reported state is therefore recorded as a refusal
    here, where its owner reads it.
    """
    device = find(thing, caller, deps)
    document = deps.shadows.get(device.key) or {"state": {}, "version": 0}
    try:
        check_reported(document["state"].get("reported", {}))
    except Refused as refusal:
        device_status.record_repeated_refusal(thing, "shadow", refusal, deps)
    return document


class ShadowUpdate(msgspec.Struct, frozen=True):
    """Changes of a headset's desired state; None leaves a field as it is, also within `config`."""

    mode: HeadsetMode | None = None
    intensity: float | None = None
    config: Configuration | None = None
    firmware: Firmware | None = None


def update_desired(thing: str, update: ShadowUpdate, caller: Caller, deps: Dependencies) -> Control:
    """Change the desired state of a headset; its shadow is updated through the queue.

    Raises
    ------
    Refused
        `unknown_device`; `forbidden` when a listener changes the firmware, or anyone but the owner turns off
        private mode; `too_large` when the URL of the firmware does not fit into the shadow; `in_flight` when
        the headset's control kept changing meanwhile.
    """
    device = find(thing, caller, deps)
    if update.firmware and not caller.may("operator"):
        refuse("forbidden", f"firmware: requires the role operator (you are {caller.role})")
    if update.firmware:
        _check_firmware_url(update.firmware.url, device.taps)
    if update.config and update.config.private is False and caller.user != device.group:
        refuse("forbidden", "config.private: only the headset's owner may turn off private mode")
    _record_in_audit_log(thing, update, caller, deps)

    def write() -> Control:
        known = deps.controls.get(thing) or Control(key=thing, group=device.group)
        wanted = known.replace(
            mode=update.mode or known.mode,
            intensity=known.intensity if update.intensity is None else update.intensity,
            config=_with_changes(known.config, update.config) if update.config else known.config,
            firmware=DesiredFirmware(**msgspec.structs.asdict(update.firmware))
            if update.firmware
            else known.firmware,
        )
        return deps.controls.put(wanted)

    stored = retry_or_refuse(write, "device: snapshots of it keep being processed meanwhile; try again")
    deps.updates.send(ControlChanged(thing))
    return stored


def _check_firmware_url(url: str, taps: int) -> None:
    longest = max_firmware_url_chars(taps)
    if len(url) > longest:
        refuse(
            "too_large",
            f"firmware.url: must have at most {longest} characters for a headset with {taps} taps, whose"
            f" filter shares the {DOCUMENT_LIMIT:,} bytes of the shadow (got {len(url)})",
        )


def _with_changes(config: DesiredConfiguration, change: Configuration) -> DesiredConfiguration:
    changes = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    return msgspec.structs.replace(config, **changes)


def _record_in_audit_log(thing: str, update: ShadowUpdate, caller: Caller, deps: Dependencies) -> None:
    if update.config and update.config.private is not None:
        audit.record("device.privacy", thing, caller, deps, private=str(update.config.private).lower())
    if update.firmware:  # without its URL, which may contain a signature
        version, sha256 = update.firmware.version, update.firmware.sha256
        audit.record("device.firmware", thing, caller, deps, version=version, sha256=sha256)


def replace_path(
    thing: str, taps: Sequence[float], rate: int | None, caller: Caller, deps: Dependencies
) -> Device:
    """Store a newly measured secondary path.

    The statistics of the noise are discarded, because they were measured through the old path. The filter in
    use stays until the next snapshot; the headset reverts it by itself if it increases the noise.

    Raises
    ------
    Refused
        `bad_field` for a rate that is not the headset's, or a path that is implausible for its model
        (`anc.services.headsets.secondary_paths`).
    """
    return _replace_path(find(thing, caller, deps), taps, rate, deps)


def store_measured_path(thing: str, payload: bytes, deps: Dependencies, at: float | None = None) -> Device:
    """Store the secondary path that a headset measured and published at `at`. Idempotent.

    Raises
    ------
    Refused
        `unknown_device`, `poor_fit` when the driver explains too little of the recorded sound, and as
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
    secondary = secondary_paths.validated(
        taps, device_models.nominal_path(model) if model else None
    ).tobytes()

    def write() -> tuple[Device, bool]:
        latest = registrations.latest(device, deps)
        old = seq is not None and seq <= latest.path_seq
        same = latest.secondary == secondary
        if old or (same and seq is None):
            return latest, False
        known = deps.controls.get(device.key)
        if known and not same:
            deps.controls.put(known.replace(memory=b"", statistics=b""))
        path_seq = latest.path_seq if seq is None else seq
        return deps.devices.put(latest.replace(secondary=secondary, path_seq=path_seq)), not same

    stored, replaced = retry_or_refuse(write, registrations.BUSY)
    if replaced:
        deps.count("paths_replaced")
    return stored
