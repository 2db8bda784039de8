"""What takes a moment, from the queues: snapshots become filters, recordings results, reports history."""

import base64
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.world import world as aws_world
from anc.ports import World
from anc.services import control, devices, jobs, status, telemetry
from anc.wire.refusal import Refused

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, world: World | None = None
) -> PartialItemFailureResponse:
    """Process a batch; only messages that failed come back."""
    here = world or aws_world()
    return process_partial_response(
        event=event,
        record_handler=lambda record: _process(record.json_body, here, context),
        processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
        context=context,
    )


def _process(message: dict[str, Any], world: World, context: LambdaContext) -> None:
    def remaining_s() -> float:
        return context.get_remaining_time_in_millis() / 1000

    if "job" in message:
        jobs.work(message["job"], world, remaining_s)
    elif "Records" in message:
        for arrived in message["Records"]:
            jobs.work(jobs.job_of(unquote_plus(arrived["s3"]["object"]["key"])), world, remaining_s)
    elif message.get("Event") != "s3:TestEvent":  # with which S3 tries the queue that it is told of
        _published(message, world)


def _published(message: dict[str, Any], world: World) -> None:
    """Work on what a headset published, or what AWS IoT did of it."""
    if _is_flood(message, world):
        return
    if "presence" in message:
        _presence(message, world)
    elif "rejected" in message:
        status.shadow_refused(message["thing"], base64.b64decode(message["rejected"]), world, _at(message))
    elif "report" in message:
        _report(message, world)
    elif "path" in message:
        _path(message, world)
    else:
        _snapshot(message, world)


def _is_flood(message: dict[str, Any], world: World) -> bool:
    """Drop what a headset publishes beyond its share, before it costs anything."""
    thing = message.get("thing")
    if thing is None:
        return False
    kind = "snapshot" if "data" in message else "report"
    settings = world.settings
    share = {"snapshot": settings.headset_snapshots_per_minute, "report": settings.headset_reports_per_minute}
    if world.floods.allow(kind, thing, share[kind]):
        return False
    world.count(f"{kind}s_refused_{status.FLOOD}")
    status.flooded(thing, kind, world)
    return True


def _at(message: dict[str, Any]) -> float | None:
    """Return when a message was published; of messages that an older rule made nobody knows."""
    return message["at"] / 1000 if "at" in message else None


def _snapshot(message: dict[str, Any], world: World) -> None:
    thing, at = message["thing"], _at(message)
    try:
        control.process_snapshot(thing, base64.b64decode(message["data"]), world, at)
    except Refused as refusal:  # it would be refused again: do not retry
        world.count(f"snapshots_refused_{refusal.code}")
        status.refused(thing, "snapshot", refusal, world, at)
        logger.warning("snapshot refused", thing=thing, code=refusal.code, reason=refusal.message)


def _presence(message: dict[str, Any], world: World) -> None:
    try:
        status.came_or_went(base64.b64decode(message["presence"]), world)
    except Refused as refusal:
        logger.error("not a lifecycle event", reason=refusal.message)


def _report(message: dict[str, Any], world: World) -> None:
    try:
        telemetry.take(message["thing"], base64.b64decode(message["report"]), message["at"] / 1000, world)
    except Refused as refusal:
        if refusal.code == "in_flight":
            raise
        world.count(f"telemetry_refused_{refusal.code}")
        status.refused(message["thing"], "telemetry", refusal, world, _at(message))


def _path(message: dict[str, Any], world: World) -> None:
    try:
        devices.measured(message["thing"], base64.b64decode(message["path"]), world, _at(message))
    except Refused as refusal:
        if refusal.code == "in_flight":
            raise
        world.count(f"paths_refused_{refusal.code}")
        status.refused(message["thing"], "path", refusal, world, _at(message))
