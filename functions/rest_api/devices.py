"""Headsets: registered and forgotten, what is wanted of them, what they say, their secondary path."""

from http import HTTPStatus
from typing import Annotated

import msgspec
import numpy as np
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from anc import records
from anc.schemas.rest.requests import (
    NewDevice,
    NewDeviceModel,
    NewPath,
    NewSerials,
    NewTelemetryReport,
    ShadowChange,
)
from anc.schemas.rest.responses import (
    Credentials,
    DesiredState,
    Device,
    DeviceDetails,
    DeviceModel,
    DeviceModels,
    DeviceRefusal,
    Devices,
    Paths,
    RegisteredDevice,
    Serials,
    Shadow,
    Telemetry,
    TelemetryHistory,
)
from anc.schemas.telemetry import TelemetryReport
from anc.services.headsets import claims, device_models, device_status, devices, telemetry
from functions.rest_api.request_context import After, Limit, Thing, caller, dependencies

router = Router()
TAGS = ["devices"]
Since = Annotated[float, Query(ge=0, le=4e9, description="Seconds since the epoch.")]
Owner = Annotated[str, Query(max_length=128, description="For operators: whose headsets. Yours if left out.")]


@router.post("/api/devices", tags=TAGS, status_code=HTTPStatus.CREATED)
def register_device(body: NewDevice) -> RegisteredDevice:
    """Register a headset. Its private key is in this answer and nowhere else."""
    device, credentials = devices.register(
        devices.Registration(**body.model_dump()), caller(), dependencies()
    )
    return RegisteredDevice(
        **_device(device).model_dump(), credentials=Credentials.model_validate(credentials)
    )


@router.get("/api/devices", tags=TAGS)
def list_devices(limit: Limit = 100, after: After = "", owner: Owner = "") -> Devices:
    """List headsets, a page at a time."""
    page = devices.list_of(owner or caller().user, caller(), dependencies(), limit, after)
    return Devices(
        devices=[_device(device) for device in page], next=page[-1].key if len(page) == limit else None
    )


@router.get("/api/devices/<id>", tags=TAGS)
def get_device(id: Thing) -> DeviceDetails:
    """Return a headset, whether it is connected, and what was refused of it last and why."""
    device = devices.find(id, caller(), dependencies())
    noticed = device_status.find(id, dependencies())
    return DeviceDetails(
        **_device(device).model_dump(),
        online=noticed.online,
        since=noticed.since or None,
        refused=noticed.refused,
        refusal=_refusal(noticed.refusal or noticed.claim),
        claim_refusal=_refusal(noticed.claim),
    )


@router.delete("/api/devices/<id>", tags=TAGS, status_code=HTTPStatus.NO_CONTENT)
def remove_device(id: Thing) -> None:
    """Revoke a headset's certificate and forget it."""
    devices.remove(id, caller(), dependencies())


@router.post("/api/devices/<id>/credentials", tags=TAGS, status_code=HTTPStatus.CREATED)
def rotate_credentials(id: Thing) -> Credentials:
    """Give a headset a new certificate; the old one is useless at once. Its key is in this answer only."""
    return Credentials.model_validate(devices.rotate_credentials(id, caller(), dependencies()))


@router.get("/api/devices/<id>/shadow", tags=TAGS)
def device_shadow(id: Thing) -> Shadow:
    """Return the shadow document of a headset."""
    return Shadow.model_validate(devices.shadow(id, caller(), dependencies()))


@router.patch("/api/devices/<id>/shadow", tags=TAGS)
def change_shadow(id: Thing, body: ShadowChange) -> DesiredState:
    """Have a headset work in another way, or on another firmware; its shadow follows within seconds."""
    wish = msgspec.convert(body.wish(), devices.ShadowUpdate)
    return DesiredState.model_validate(devices.update_desired(id, wish, caller(), dependencies()))


@router.get("/api/devices/<id>/telemetry", tags=TAGS)
def device_telemetry(id: Thing) -> Telemetry:
    """Return what a headset said of itself last."""
    return _telemetry(*telemetry.latest(id, caller(), dependencies()))


@router.get("/api/devices/<id>/history", tags=TAGS)
def device_history(id: Thing, limit: Limit = 100, after: After = "", since: Since = 0.0) -> TelemetryHistory:
    """Return what a headset said of itself within the last month, the oldest first, a page at a time."""
    page = telemetry.history(id, caller(), dependencies(), limit, after, since)
    return TelemetryHistory(
        reports=[_telemetry(each.at, telemetry.report_of(each)) for each in page],
        next=page[-1].key if len(page) == limit else None,
    )


@router.post("/api/devices/<id>/telemetry", tags=TAGS)
def report_telemetry(id: Thing, body: NewTelemetryReport) -> Telemetry:
    """Say something of a headset in its stead."""
    kept = telemetry.report(id, body.report(), caller(), dependencies())
    return _telemetry(kept.at, telemetry.report_of(kept))


@router.get("/api/devices/<id>/paths", tags=TAGS)
def device_paths(id: Thing) -> Paths:
    """Return a headset's secondary path."""
    return _paths(devices.find(id, caller(), dependencies()))


@router.put("/api/devices/<id>/paths", tags=TAGS)
def replace_paths(id: Thing, body: NewPath) -> Paths:
    """Store a secondary path that was measured anew."""
    return _paths(devices.replace_path(id, body.secondary, body.rate, caller(), dependencies()))


@router.post("/api/devices/<id>/paths", tags=TAGS, status_code=HTTPStatus.CREATED)
def measured_path(id: Thing, body: NewPath) -> Paths:
    """Store a secondary path as it was measured at enrolment, or by the headset itself."""
    return replace_paths(id, body)


@router.get("/api/device-models", tags=TAGS)
def list_device_models(limit: Limit = 100, after: After = "") -> DeviceModels:
    """List kinds of headsets, a page at a time."""
    page = device_models.list_all(dependencies(), limit, after)
    return DeviceModels(
        models=[_model(model) for model in page], next=page[-1].key if len(page) == limit else None
    )


@router.get("/api/device-models/<id>", tags=TAGS)
def get_device_model(id: Thing) -> DeviceModel:
    """Return a kind of headset."""
    return _model(device_models.find(id, dependencies()))


@router.put("/api/device-models/<id>", tags=TAGS)
def describe_device_model(id: Thing, body: NewDeviceModel) -> DeviceModel:
    """Describe a kind of headset, or describe it anew; headsets registered before stay as they are."""
    description = device_models.ModelDescription(**body.model_dump())
    return _model(device_models.describe(id, description, dependencies()))


@router.delete("/api/device-models/<id>", tags=TAGS, status_code=HTTPStatus.NO_CONTENT)
def forget_device_model(id: Thing) -> None:
    """Forget a kind of headset; its headsets stay as they are."""
    device_models.delete(id, dependencies())


@router.post("/api/device-models/<id>/serials", tags=TAGS)
def expect_headsets(id: Thing, body: NewSerials) -> Serials:
    """List headsets of a kind that will come for their certificate themselves, with the factory's claim."""
    new = set(claims.preregister(id, body.serials, caller(), dependencies()))
    serials = list(dict.fromkeys(body.serials))
    return Serials(
        listed=[serial for serial in serials if serial in new],
        known=[serial for serial in serials if serial not in new],
    )


def _secondary(device: records.Device) -> list[float]:
    path: list[float] = np.frombuffer(device.secondary, "<f4").tolist()
    return path


def _refusal(noticed: records.RecordedRefusal | None) -> DeviceRefusal | None:
    return DeviceRefusal.model_validate(noticed) if noticed else None


def _device(device: records.Device) -> Device:
    return Device(
        thing=device.key,
        model=device.model,
        rate=device.rate,
        taps=device.taps,
        max_gain_db=device.max_gain_db,
        secondary_taps=len(_secondary(device)),
        created=device.created,
    )


def _model(model: records.DeviceModel) -> DeviceModel:
    return DeviceModel(
        model=model.key,
        rate=model.rate,
        taps=model.taps,
        max_gain_db=model.max_gain_db,
        secondary=device_models.nominal_path(model).tolist(),
        serial_prefix=model.serial_prefix,
    )


def _telemetry(at: float | None, report: TelemetryReport) -> Telemetry:
    said = {name: getattr(report, name) for name in Telemetry.model_fields if name != "at"}
    return Telemetry(at=at, **said)


def _paths(device: records.Device) -> Paths:
    return Paths(rate=device.rate, secondary=_secondary(device))
