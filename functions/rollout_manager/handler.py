"""Take the next step of every rollout, once a minute, and record the fleet, once a day."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.dependencies import aws_dependencies
from anc.ports import Dependencies
from anc.services.headsets import fleet_history, rollout_steps

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext, deps: Dependencies | None = None) -> None:
    """Take the steps, and record the day. A schedule invokes it; its event is not used."""
    here = deps or aws_dependencies()
    rollout_steps.take_all(here)
    fleet_history.record_day(here)
