"""Records of rollouts: firmware or configuration that headsets get in stages."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

import msgspec

from anc.fleet_records import FleetQuery
from anc.headset_records import DesiredConfiguration, DesiredFirmware
from anc.records import Record

RolloutState = Literal["active", "paused", "done", "stopped", "cancelled"]
RolloutStage = Literal["planning", "canary", "fleet"]
JobStatus = Literal[
    "waiting", "queued", "in_progress", "succeeded", "failed", "rejected", "timed_out", "cancelled"
]
JOB_STATUSES: tuple[JobStatus, ...] = get_args(JobStatus)
UNFINISHED: tuple[JobStatus, ...] = ("queued", "in_progress")
FAILURES: tuple[JobStatus, ...] = ("failed", "rejected", "timed_out")
MAX_BATCH = 100  # things that a job of AWS IoT may target


class JobExecution(NamedTuple):
    """What a headset has made of a job: never `waiting`; `at` is the last change, in s since the epoch."""

    thing: str
    status: JobStatus
    at: float


class Target(msgspec.Struct, frozen=True, array_like=True):
    """A headset of a rollout.

    Attributes
    ----------
    thing : str
    before_db : float or None
        Its attenuation when the rollout was planned.
    status : str
        `waiting` until its batch is started.
    at : float
        When the status changed, in seconds since the epoch.
    """

    thing: str
    before_db: float | None = None
    status: JobStatus = "waiting"
    at: float = 0.0


class RolloutBatch(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Up to `MAX_BATCH` headsets that get a rollout together: group is the rollout, key also the number."""

    targets: tuple[Target, ...]
    started: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it was started, and headsets have not finished yet."""
        return self.started and any(target.status in UNFINISHED for target in self.targets)


class Rollout(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Firmware or configuration for the headsets of a query: key is its id and sorts by time.

    Attributes
    ----------
    firmware, config
        What is rolled out; exactly one is set.
    query : FleetQuery
        Which headsets; those that matched when it was created.
    things : tuple of str
        Names of headsets, instead of `query`.
    canary_percent : float
        Share of the headsets that get it first.
    soak_minutes : float
        Time from the completion of the canary to the start of the others.
    per_minute : int
        Headsets that are started in a minute, at most.
    max_failed_percent : float
        It stops when more of the headsets that finished have failed.
    max_drop_db : float
        It stops when the attenuation of updated headsets fell by more than that of the others.
    is_closing : bool
        Whether it was cancelled, and the jobs are not ended yet.
    reason : str
        Why it is in its state, as text for the user.
    created_by, changed_by : str
        User id; `changed_by` is "" for a change by the platform itself.
    steps : int
        Number of steps taken.
    headsets, canary : int
        Number of its headsets, and of those in the canary, which are the first.
    batches, started : int
        Number of its batches, and of those that are started; `started_at` is when the last one was.
    counts : dict of str to int
        Headsets by status.
    soaking_since : float or None
        When enough of the canary had finished.
    updated_change_db, other_change_db : float or None
        Median change of the attenuation of updated and of other headsets.
    measured : int
        Number of updated headsets that have reported since.
    """

    name: str
    firmware: DesiredFirmware | None = None
    config: DesiredConfiguration | None = None
    query: FleetQuery = FleetQuery()
    things: tuple[str, ...] = ()
    canary_percent: float
    soak_minutes: float
    per_minute: int
    max_failed_percent: float
    max_drop_db: float
    state: RolloutState = "active"
    stage: RolloutStage = "planning"
    is_closing: bool = False
    reason: str = ""
    created: float
    created_by: str
    changed: float
    changed_by: str = ""
    steps: int = 0
    headsets: int = 0
    canary: int = 0
    batches: int = 0
    started: int = 0
    started_at: float = 0.0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    soaking_since: float | None = None
    updated_change_db: float | None = None
    other_change_db: float | None = None
    measured: int = 0

    @property
    def is_final(self) -> bool:
        """Whether it can no longer be changed."""
        return self.state in ("done", "stopped", "cancelled")

    @property
    def batch_size(self) -> int:
        """Number of headsets of a full batch."""
        return min(MAX_BATCH, self.per_minute)

    @property
    def canary_batches(self) -> int:
        """Number of batches of the canary, which has none of its own with others."""
        return math.ceil(self.canary / self.batch_size)


def counts_of(batches: Iterable[RolloutBatch]) -> dict[str, int]:
    """Return the number of headsets by status, without statuses that none has."""
    return dict(Counter(target.status for batch in batches for target in batch.targets))


def finished(counts: Mapping[str, int]) -> int:
    """Return the number of headsets that have succeeded or failed."""
    return counts.get("succeeded", 0) + failed(counts)


def failed(counts: Mapping[str, int]) -> int:
    """Return the number of headsets that have failed."""
    return sum(counts.get(status, 0) for status in FAILURES)
