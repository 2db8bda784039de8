"""Deliver queued updates: to a headset's shadow and its watchers, or to the owner of a recording."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies
from anc.ports import Dependencies
from anc.schemas.messages import ControlChanged, RecordingFinished, SenderMessage, decode
from anc.services.headsets import control
from anc.services.sound import jobs
from functions.queue_batch import process_batch

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(
    event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None
) -> PartialItemFailureResponse:
    """Deliver a batch; return the messages that failed."""
    here = deps or aws_dependencies()
    return process_batch(
        event, context, here.tracing, lambda body: _deliver(decode(body, SenderMessage), here)
    )


def _deliver(message: SenderMessage, deps: Dependencies) -> None:
    match message:
        case ControlChanged():
            control.deliver(message.thing, deps, message.at, message.ends)
        case RecordingFinished():
            jobs.notify_owner(message.job, deps)
