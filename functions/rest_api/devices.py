"""Endpoints for headsets: registry, desired state, telemetry, secondary paths and models."""

from http import HTTPStatus
from typing import Annotated

import msgspec
import numpy as np
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query

from anc import headset_records
from anc.schemas.rest.requests import (
    DeviceChange,
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
    TelemetryTrend,
    TrendInterval,
)
from anc.schemas.telemetry import TelemetryReport
from anc.services.headsets import claims, device_models, device_status, devices, telemetry, telemetry_trend
from functions.rest_api.request_context import After, Limit, Thing, caller, dependencies

router = Router()
TAGS = ["devices"]
Since = Annotated[float, Query(ge=0, le=4e9, description="Seconds since the epoch.")]
Until = Annotated[float | None, Query(ge=0, le=4e9, description="Seconds since the epoch. Default: now.")]
Intervals = Annotated[int, Query(ge=1, le=500, description="Number of intervals of equal length.")]
Owner = Annotated[
    str, Query(max_length=128, description="For operators: owner of the headsets. Default: you.")
]


@router.post("/api/devices", tags=TAGS, status_code=HTTPStatus.CREATED)
def register_device(body: NewDevice) -> RegisteredDevice:
    """Register a headset. Its private key is only in this response."""
    device, credentials = devices.register(
        devices.Registration(**body.model_dump()), caller(), dependencies()
    )
    return RegisteredDevice(
        **_device(device).model_dump(), credentials=Credentials.model_validate(credentials)
    )


@router.get("/api/devices", tags=TAGS)
def list_devices(limit: Limit = 100, after: After = "", owner: Owner = "") -> Devices:
    """List headsets, page by page."""
    page = devices.list_of(owner or caller().user, caller(), dependencies(), limit, after)
    return Devices(
        devices=[_device(device) for device in page], next=page[-1].key if len(page) == limit else None
    )


@router.get("/api/devices/<id>", tags=TAGS)
def get_device(id: Thing) -> DeviceDetails:
    """Return a headset, its connection status, and the latest refusal with its reason."""
    device = devices.find(id, caller(), dependencies())
    status = device_status.find(id, dependencies())
    return DeviceDetails(
        **_device(device).model_dump(),
        online=status.online,
        since=status.since or None,
        refused=status.refused,
        refusal=_refusal(status.refusal or status.claim),
        claim_refusal=_refusal(status.claim),
    )


@router.patch("/api/devices/<id>", tags=TAGS)
def rename_device(id: Thing, body: DeviceChange) -> Device:
    """Change the display name of a headset."""
    return _device(devices.rename(id, body.name, caller(), dependencies()))


@router.delete("/api/devices/<id>", tags=TAGS, status_code=HTTPStatus.NO_CONTENT)
def remove_device(id: Thing) -> None:
    """Revoke a headset's certificate and delete all that is stored of it."""
    devices.remove(id, caller(), dependencies())


@router.post("/api/devices/<id>/credentials", tags=TAGS, status_code=HTTPStatus.CREATED)
def rotate_credentials(id: Thing) -> Credentials:
    """Issue a new certificate for a headset and revoke the old one. The key is only in this response."""
    return Credentials.model_validate(devices.rotate_credentials(id, caller(), dependencies()))


@router.get("/api/devices/<id>/shadow", tags=TAGS)
def device_shadow(id: Thing) -> Shadow:
    """Return the shadow document of a headset."""
    return Shadow.model_validate(devices.shadow(id, caller(), dependencies()))


@router.patch("/api/devices/<id>/shadow", tags=TAGS)
def change_shadow(id: Thing, body: ShadowChange) -> DesiredState:
    """Change the desired mode, intensity, configuration or firmware. The shadow follows within seconds."""
    update = msgspec.convert(body.desired(), devices.ShadowUpdate)
    return DesiredState.model_validate(devices.update_desired(id, update, caller(), dependencies()))


@router.get("/api/devices/<id>/telemetry", tags=TAGS)
def device_telemetry(id: Thing) -> Telemetry:
    """Return the latest telemetry report of a headset."""
    return _telemetry(*telemetry.latest(id, caller(), dependencies()))


@router.get("/api/devices/<id>/history", tags=TAGS)
def device_history(id: Thing, limit: Limit = 100, after: After = "", since: Since = 0.0) -> TelemetryHistory:
    """Return the telemetry reports of the last month, oldest first, page by page."""
    page = telemetry.history(id, caller(), dependencies(), limit, after, since)
    return TelemetryHistory(
        reports=[_telemetry(each.at, telemetry.report_of(each)) for each in page],
        next=page[-1].key if len(page) == limit else None,
    )


@router.get("/api/devices/<id>/trend", tags=TAGS)
def device_trend(
    id: Thing, since: Since = 0.0, until: Until = None, intervals: Intervals = 200
) -> TelemetryTrend:
    """Return attenuation, level and battery of a headset over time, at most over the last month."""
    found = telemetry_trend.trend(id, caller(), dependencies(), since, until, intervals)
    return TelemetryTrend(
        **found._asdict() | {"intervals": [TrendInterval(**each._asdict()) for each in found.intervals]}
    )


@router.post("/api/devices/<id>/telemetry", tags=TAGS)
def report_telemetry(id: Thing, body: NewTelemetryReport) -> Telemetry:
    """Store a telemetry report on behalf of a headset."""
    stored = telemetry.store_on_behalf(id, body.report(), caller(), dependencies())
    return _telemetry(stored.at, telemetry.report_of(stored))


@router.get("/api/devices/<id>/paths", tags=TAGS)
def device_paths(id: Thing) -> Paths:
    """Return a headset's secondary path."""
    return _paths(devices.find(id, caller(), dependencies()))


@router.put("/api/devices/<id>/paths", tags=TAGS)
def replace_paths(id: Thing, body: NewPath) -> Paths:
    """Store a newly measured secondary path."""
    return _paths(devices.replace_path(id, body.secondary, body.rate, caller(), dependencies()))


@router.post("/api/devices/<id>/paths", tags=TAGS, status_code=HTTPStatus.CREATED)
def measured_path(id: Thing, body: NewPath) -> Paths:
    """Store a secondary path that was measured at registration, or by the headset itself."""
    return replace_paths(id, body)


@router.get("/api/device-models", tags=TAGS)
def list_device_models(limit: Limit = 100, after: After = "") -> DeviceModels:
    """List headset models, page by page."""
    page = device_models.list_all(dependencies(), limit, after)
    return DeviceModels(
        models=[_model(model) for model in page], next=page[-1].key if len(page) == limit else None
    )


@router.get("/api/device-models/<id>", tags=TAGS)
def get_device_model(id: Thing) -> DeviceModel:
    """Return a headset model."""
    return _model(device_models.find(id, dependencies()))


@router.put("/api/device-models/<id>", tags=TAGS)
def describe_device_model(id: Thing, body: NewDeviceModel) -> DeviceModel:
    """Create or replace a headset model. Registered headsets do not change."""
    description = device_models.ModelDescription(**body.model_dump())
    return _model(device_models.describe(id, description, dependencies()))


@router.delete("/api/device-models/<id>", tags=TAGS, status_code=HTTPStatus.NO_CONTENT)
def forget_device_model(id: Thing) -> None:
    """Delete a headset model. Its headsets do not change."""
    device_models.delete(id, dependencies())


@router.post("/api/device-models/<id>/serials", tags=TAGS)
def expect_headsets(id: Thing, body: NewSerials) -> Serials:
    """Register the serial numbers of headsets that will be provisioned by claim."""
    new = set(claims.preregister(id, body.serials, caller(), dependencies()))
    serials = list(dict.fromkeys(body.serials))
    return Serials(
        listed=[serial for serial in serials if serial in new],
        known=[serial for serial in serials if serial not in new],
    )


def _secondary(device: headset_records.Device) -> list[float]:
    path: list[float] = np.frombuffer(device.secondary, "<f4").tolist()
    return path


def _refusal(refusal: headset_records.RecordedRefusal | None) -> DeviceRefusal | None:
    return DeviceRefusal.model_validate(refusal) if refusal else None


def _device(device: headset_records.Device) -> Device:
    return Device(
        thing=device.key,
        name=device.name,
        tags=list(device.tags),
        model=device.model,
        rate=device.rate,
        taps=device.taps,
        max_gain_db=device.max_gain_db,
        lower_limit_hz=device.lower_limit_hz,
        secondary_taps=len(_secondary(device)),
        created=device.created,
    )


def _model(model: headset_records.DeviceModel) -> DeviceModel:
    return DeviceModel(
        model=model.key,
        rate=model.rate,
        taps=model.taps,
        max_gain_db=model.max_gain_db,
        lower_limit_hz=model.lower_limit_hz,
        secondary=device_models.nominal_path(model).tolist(),
        serial_prefix=model.serial_prefix,
    )


def _telemetry(at: float | None, report: TelemetryReport) -> Telemetry:
    fields = {name: getattr(report, name) for name in Telemetry.model_fields if name != "at"}
    return Telemetry(at=at, **fields)


def _paths(device: headset_records.Device) -> Paths:
    return Paths(rate=device.rate, secondary=_secondary(device))
