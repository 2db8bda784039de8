"""Updates from the queue: a device's shadow and its watchers, or the owner of a recording."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.world import world as aws_world
from anc.ports import World
from anc.services import control, jobs

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, world: World | None = None
) -> PartialItemFailureResponse:
    """Deliver a batch; only messages that failed come back."""
    here = world or aws_world()
    return process_partial_response(
        event=event,
        record_handler=lambda record: _deliver(record, here),
        processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
        context=context,
    )


def _deliver(record: SQSRecord, world: World) -> None:
    message = record.json_body
    if "job" in message:
        jobs.tell_owner(message["job"], world)
    else:
        control.deliver(message["thing"], world)
