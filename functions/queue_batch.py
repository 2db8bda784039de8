"""Process queued messages one by one, each in the trace of its sender, and log why one failed."""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.tracing import Tracing

TRACE = "traceparent"  # the attribute of a message with the trace of its sender, on one machine

logger = Logger()


class _LoggingProcessor(BatchProcessor):
    def __init__(self) -> None:
        super().__init__(EventType.SQS, raise_on_entire_batch_failure=False)

    def failure_handler(self, record: Any, exception: Any) -> Any:
        logger.warning(
            "message failed",
            message_id=record.message_id,
            receives=int(record.attributes.approximate_receive_count),
            exc_info=exception,
        )
        return super().failure_handler(record, exception)


def process_batch(
    event: Mapping[str, Any], context: LambdaContext, tracing: Tracing, process: Callable[[str], None]
) -> PartialItemFailureResponse:
    """Call a function with the body of each message of an SQS event.

    Returns
    -------
    PartialItemFailureResponse
        The messages for which it raised, which the queue delivers again.
    """

    def handle(record: SQSRecord) -> None:
        sender = record.raw_event.get("messageAttributes", {}).get(TRACE, {}).get("stringValue", "")
        queue = record.event_source_arn.rpartition(":")[2]
        with tracing.span(f"process {queue}", sender):
            process(record.body)

    return process_partial_response(
        event=dict(event),
        record_handler=handle,
        processor=_LoggingProcessor(),
        context=context,
    )
