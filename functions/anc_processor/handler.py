"""Process what headsets publish: design filters from snapshots, store telemetry, paths and presence."""

from typing import Any, NamedTuple

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies
from anc.ports import Dependencies
from anc.schemas.messages import (
    DeviceMessage,
    PathPublished,
    PresenceChanged,
    ProcessorMessage,
    ShadowRejected,
    SnapshotPublished,
    TelemetryPublished,
    decode,
)
from anc.schemas.refusal import Refused
from anc.services.headsets import control, device_status, devices, telemetry
from functions.queue_batch import process_batch

logger = Logger()
metrics = Metrics()


class Publication(NamedTuple):
    """What a headset publishes: its name in the headset's status, and in the counters of refusals."""

    name: str
    counted_as: str


PUBLICATIONS = {
    SnapshotPublished: Publication("snapshot", "snapshots"),
    TelemetryPublished: Publication("telemetry", "telemetry"),
    PathPublished: Publication("path", "paths"),
}


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None
) -> PartialItemFailureResponse:
    """Process a batch; return the messages that failed."""
    here = deps or aws_dependencies()
    return process_batch(
        event, context, here.tracing, lambda body: _process(decode(body, ProcessorMessage), here)
    )


def _process(message: ProcessorMessage, deps: Dependencies) -> None:
    if _is_flood(message, deps):
        return
    match message:
        case PresenceChanged():
            device_status.record_presence(message.payload, deps)
        case ShadowRejected():
            device_status.record_shadow_refusal(message.thing, message.payload, deps, message.published_at)
        case SnapshotPublished() | TelemetryPublished() | PathPublished():
            try:
                _store(message, deps)
            except Refused as refusal:
                if refusal.code == "in_flight":
                    raise
                _record_refusal(message, refusal, deps)  # not retried: it would be refused again


def _store(message: SnapshotPublished | TelemetryPublished | PathPublished, deps: Dependencies) -> None:
    match message:
        case SnapshotPublished():
            control.process_snapshot(message.thing, message.payload, deps, message.published_at)
        case TelemetryPublished():
            telemetry.store(message.thing, message.payload, message.at / 1000, deps)
        case PathPublished():
            devices.store_measured_path(message.thing, message.payload, deps, message.published_at)


def _record_refusal(message: DeviceMessage, refusal: Refused, deps: Dependencies) -> None:
    name, counted_as = PUBLICATIONS[type(message)]
    deps.count(f"{counted_as}_refused_{refusal.code}")
    with deps.best_effort("statuses_not_recorded", "recording a refusal"):
        device_status.record_refusal(message.thing, name, refusal, deps, message.published_at)
    logger.warning(f"{name} refused", thing=message.thing, code=refusal.code, reason=refusal.message)


def _is_flood(message: DeviceMessage, deps: Dependencies) -> bool:
    """Return whether a headset exceeds its share; such a message is dropped before it costs anything."""
    if not message.thing:  # presence messages of earlier versions
        return False
    if isinstance(message, SnapshotPublished):
        kind, per_minute = "snapshot", deps.settings.headset_snapshots_per_minute
    else:
        kind, per_minute = "report", deps.settings.headset_reports_per_minute
    if deps.flood_limiter.allow(kind, message.thing, per_minute):
        return False
    deps.count(f"{kind}s_refused_{device_status.FLOOD}")
    with deps.best_effort("statuses_not_recorded", "recording a flood"):
        device_status.record_flood(message.thing, kind, deps)
    return True
