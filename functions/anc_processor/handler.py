"""What takes a moment, from the queues: snapshots become filters, recordings results, reports history."""

import base64
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies as aws_world
from anc.ports import Dependencies
from anc.schemas.refusal import Refused
from anc.services.headsets import control, device_status, devices, telemetry
from anc.services.sound import jobs

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None
) -> PartialItemFailureResponse:
    """Process a batch; only messages that failed come back."""
    here = deps or aws_world()
    return process_partial_response(
        event=event,
        record_handler=lambda record: _process(record.json_body, here, context),
        processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
        context=context,
    )


def _process(message: dict[str, Any], deps: Dependencies, context: LambdaContext) -> None:
    def remaining_s() -> float:
        return context.get_remaining_time_in_millis() / 1000

    if "job" in message:
        jobs.work(message["job"], deps, remaining_s)
    elif "Records" in message:
        for arrived in message["Records"]:
            jobs.work(jobs.job_of(unquote_plus(arrived["s3"]["object"]["key"])), deps, remaining_s)
    elif message.get("Event") != "s3:TestEvent":  # with which S3 tries the queue that it is told of
        _published(message, deps)


def _published(message: dict[str, Any], deps: Dependencies) -> None:
    """Work on what a headset published, or what AWS IoT did of it."""
    if _is_flood(message, deps):
        return
    if "presence" in message:
        _presence(message, deps)
    elif "rejected" in message:
        device_status.record_shadow_refusal(
            message["thing"], base64.b64decode(message["rejected"]), deps, _at(message)
        )
    elif "report" in message:
        _report(message, deps)
    elif "path" in message:
        _path(message, deps)
    else:
        _snapshot(message, deps)


def _is_flood(message: dict[str, Any], deps: Dependencies) -> bool:
    """Drop what a headset publishes beyond its share, before it costs anything."""
    thing = message.get("thing")
    if thing is None:
        return False
    kind = "snapshot" if "data" in message else "report"
    settings = deps.settings
    share = {"snapshot": settings.headset_snapshots_per_minute, "report": settings.headset_reports_per_minute}
    if deps.flood_limiter.allow(kind, thing, share[kind]):
        return False
    deps.count(f"{kind}s_refused_{device_status.FLOOD}")
    device_status.record_flood(thing, kind, deps)
    return True


def _at(message: dict[str, Any]) -> float | None:
    """Return when a message was published; of messages that an older rule made nobody knows."""
    return message["at"] / 1000 if "at" in message else None


def _snapshot(message: dict[str, Any], deps: Dependencies) -> None:
    thing, at = message["thing"], _at(message)
    try:
        control.process_snapshot(thing, base64.b64decode(message["data"]), deps, at)
    except Refused as refusal:  # it would be refused again: do not retry
        deps.count(f"snapshots_refused_{refusal.code}")
        device_status.record_refusal(thing, "snapshot", refusal, deps, at)
        logger.warning("snapshot refused", thing=thing, code=refusal.code, reason=refusal.message)


def _presence(message: dict[str, Any], deps: Dependencies) -> None:
    try:
        device_status.record_presence(base64.b64decode(message["presence"]), deps)
    except Refused as refusal:
        logger.error("not a lifecycle event", reason=refusal.message)


def _report(message: dict[str, Any], deps: Dependencies) -> None:
    try:
        telemetry.store(message["thing"], base64.b64decode(message["report"]), message["at"] / 1000, deps)
    except Refused as refusal:
        if refusal.code == "in_flight":
            raise
        deps.count(f"telemetry_refused_{refusal.code}")
        device_status.record_refusal(message["thing"], "telemetry", refusal, deps, _at(message))


def _path(message: dict[str, Any], deps: Dependencies) -> None:
    try:
        devices.store_measured_path(message["thing"], base64.b64decode(message["path"]), deps, _at(message))
    except Refused as refusal:
        if refusal.code == "in_flight":
            raise
        deps.count(f"paths_refused_{refusal.code}")
        device_status.record_refusal(message["thing"], "path", refusal, deps, _at(message))
