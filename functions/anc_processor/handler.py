"""Snapshots from the queue behind the IoT rule: from each the control filter that its headset should use."""

import base64
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.world import world as aws_world
from anc.ports import World
from anc.services import control
from anc.wire.refusal import Refused

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext, world: World | None = None) -> dict[str, Any]:
    """Process a batch; only messages that failed come back."""
    here = world or aws_world()
    return process_partial_response(  # type: ignore[return-value]
        event=event,
        record_handler=lambda record: _snapshot(record, here),
        processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
        context=context,
    )


def _snapshot(record: SQSRecord, world: World) -> None:
    message = record.json_body
    try:
        control.process_snapshot(message["thing"], base64.b64decode(message["data"]), world)
    except Refused as refusal:  # it would be refused again: do not retry
        world.count(f"snapshots_refused_{refusal.code}")
        logger.warning("snapshot refused", thing=message["thing"], code=refusal.code, reason=refusal.message)
