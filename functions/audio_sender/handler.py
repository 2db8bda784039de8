"""Updates from the queue: a device's shadow and its watchers, or the owner of a recording."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies as aws_world
from anc.ports import Dependencies
from anc.services.headsets import control
from anc.services.sound import jobs

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None
) -> PartialItemFailureResponse:
    """Deliver a batch; only messages that failed come back."""
    here = deps or aws_world()
    return process_partial_response(
        event=event,
        record_handler=lambda record: _deliver(record, here),
        processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
        context=context,
    )


def _deliver(record: SQSRecord, deps: Dependencies) -> None:
    message = record.json_body
    if "job" in message:
        jobs.notify_owner(message["job"], deps)
    else:
        control.deliver(message["thing"], deps)
