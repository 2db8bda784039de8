"""Service-level objectives: what share of the work must be done how fast, and when to alert.

The alert rules in `deploy/observability` and the alarms in `infra` implement them.

References
----------
Beyer et al., The Site Reliability Workbook, chapter 5: multiwindow, multi-burn-rate alerts.
"""

from typing import NamedTuple

PERIOD_DAYS = 30  # in which the objectives are to be met


class Objective(NamedTuple):
    """A share of the durations of one timed operation must be below a limit.

    Attributes
    ----------
    name : str
        The operation, one of `anc.services.platform_metrics.TIMED`.
    meaning : str
        What is to happen in time, as the end of a sentence.
    limit_s, limit_on_aws_s : float
        On one machine, and on AWS, where cold starts and API Gateway are included. Bounds of the histogram.
    share : float
        Of the durations, in `PERIOD_DAYS`.
    """

    name: str
    meaning: str
    limit_s: float
    limit_on_aws_s: float
    share: float

    @property
    def budget(self) -> float:
        """The share that may be slower, or fail."""
        return round(1 - self.share, 6)


class BurnRate(NamedTuple):
    """An alert when the budget is used up `factor` times too fast, both recently and for a longer time.

    Attributes
    ----------
    name : str
    factor : float
    long_minutes, short_minutes : int
        Windows. The short one ends the alert soon after the fault.
    """

    name: str
    factor: float
    long_minutes: int
    short_minutes: int


OBJECTIVES = (
    Objective("block_answer", "live blocks are answered", 0.1, 0.5, 0.999),
    Objective("snapshot_shadow", "snapshots change the shadow", 0.5, 2.5, 0.99),
    Objective("emergency_open", "emergencies are opened", 1.0, 2.5, 0.99),
)
BURN_RATES = (
    BurnRate("fast", 14.4, 60, 5),  # 2 % of the budget of 30 days in an hour
    BurnRate("slow", 6.0, 360, 30),  # 5 % in six hours
)
