"""Interfaces to the whole fleet that the services use: its index, and jobs for headsets. See `anc.ports`."""

from collections.abc import Sequence
from typing import Protocol

from anc.fleet_records import Distribution, FleetGroup, FleetPage, FleetQuery, GroupField, HeadsetSummary
from anc.rollout_records import JobExecution
from anc.schemas.job import JobDocument


class FleetIndex(Protocol):
    """A searchable summary of every headset, complete within seconds of an update.

    Text is compared without regard to case. `min_interval_s` is the time in which one update with a telemetry
    report is enough, because each costs money; 0 if it does not.
    """

    min_interval_s: float

    def update(self, summary: HeadsetSummary, removed_tags: Sequence[str] = ()) -> None:
        """Merge what is known into a headset's summary; None leaves a field as it is.

        `removed_tags` are those that the summary had and `summary.tags` has not.
        """

    def remove(self, thing: str) -> None:
        """Delete the summary of a headset, if there is one."""

    def search(self, query: FleetQuery, sort: str = "", limit: int = 100, after: str = "") -> FleetPage:
        """Return up to `limit` (1-100) matching headsets.

        `sort` is one of `SORT_FIELDS`, descending with a leading hyphen; it leaves out headsets without a
        value. Without it, the order is that of the index. Raises Refused, `bad_field`, when `after` is not
        the `next` of a page in this order.
        """

    def count(self, query: FleetQuery) -> int:
        """Return the number of matching headsets."""

    def distribution(self, query: FleetQuery) -> Distribution:
        """Return the distribution of the attenuation of matching headsets, possibly approximate."""

    def groups(self, query: FleetQuery, field: GroupField, limit: int = 8) -> Sequence[FleetGroup]:
        """Return the most frequent values of a field among matching headsets, most frequent first."""


class HeadsetJobs(Protocol):
    """Jobs that headsets execute when they are connected, one after the other.

    A job ends for a headset when it reports the end, or `IN_PROGRESS_TIMEOUT_S` after it began.
    """

    def start(self, job: str, things: Sequence[str], document: JobDocument) -> None:
        """Give a job to up to `MAX_BATCH` headsets of the registry. Starting a job again changes nothing."""

    def executions(self, job: str) -> Sequence[JobExecution]:
        """Return the state of a job on each of its headsets; empty for an unknown job."""

    def cancel(self, job: str) -> None:
        """End a job on the headsets that have not finished it. They are notified. Idempotent."""
