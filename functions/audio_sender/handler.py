"""Updates from the queue: the device's shadow is brought up to date, and its watchers are told."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.world import world as aws_world
from anc.ports import World
from anc.services import control

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext, world: World | None = None) -> dict[str, Any]:
    """Deliver a batch; only messages that failed come back."""
    here = world or aws_world()
    return process_partial_response(  # type: ignore[return-value]
        event=event,
        record_handler=lambda record: control.deliver(record.json_body["thing"], here),
        processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
        context=context,
    )
