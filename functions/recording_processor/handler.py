"""Filter recordings: one per message, in as many invocations as it takes."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies
from anc.ports import Dependencies
from anc.schemas.messages import FilesArrived, RecordingMessage, RecordingWaiting, decode
from anc.services.sound import job_processing, jobs
from functions.queue_batch import process_batch

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None
) -> PartialItemFailureResponse:
    """Process a batch; return the messages that failed."""
    here = deps or aws_dependencies()

    def remaining_s() -> float:
        return context.get_remaining_time_in_millis() / 1000

    return process_batch(
        event, context, here.tracing, lambda body: _process(decode(body, RecordingMessage), here, remaining_s)
    )


def _process(message: RecordingMessage, deps: Dependencies, remaining_s: Callable[[], float]) -> None:
    match message:
        case RecordingWaiting():
            job_processing.process(message.job, deps, remaining_s)
        case FilesArrived():
            for key in message.keys:
                job_processing.process(jobs.job_of(key), deps, remaining_s)
