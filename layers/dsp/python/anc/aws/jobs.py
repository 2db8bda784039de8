"""Jobs of headsets on AWS IoT Jobs.

References
----------
AWS IoT API Reference, "CreateJob", "CancelJob" and "ListJobExecutionsForJob". A job targets at most 100
things. AWS IoT has no pause: the platform starts the jobs of a rollout one after the other.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from anc.aws import clients
from anc.rollout_records import JobExecution, JobStatus
from anc.schemas.job import IN_PROGRESS_TIMEOUT_S, JobDocument
from anc.schemas.topics import job_name

STATUSES: dict[str, JobStatus] = {
    "QUEUED": "queued",
    "IN_PROGRESS": "in_progress",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "REJECTED": "rejected",
    "TIMED_OUT": "timed_out",
    "CANCELED": "cancelled",
    "REMOVED": "cancelled",  # the thing was deleted
}


class IotJobs:
    """`anc.fleet_ports.HeadsetJobs` on AWS IoT.

    Parameters
    ----------
    environment : str
        Part of the names of jobs, which are those of an account and region.
    things : str
        ARN of a thing without its name.
    """

    def __init__(self, environment: str, things: str, client: Callable[[], Any] = clients.iot) -> None:
        self._environment = environment
        self._things = things
        self._client = client

    def start(self, job: str, things: Sequence[str], document: JobDocument) -> None:
        """See `HeadsetJobs.start`."""
        client = self._client()
        with suppress(client.exceptions.ResourceAlreadyExistsException):
            client.create_job(
                jobId=self._name(job),
                targets=[f"{self._things}{thing}" for thing in things],
                document=msgspec.json.encode(document).decode(),
                targetSelection="SNAPSHOT",
                timeoutConfig={"inProgressTimeoutInMinutes": IN_PROGRESS_TIMEOUT_S // 60},
            )

    def executions(self, job: str) -> Sequence[JobExecution]:
        """See `HeadsetJobs.executions`."""
        client, found = self._client(), []
        token: dict[str, str] = {}
        while True:
            try:
                page = client.list_job_executions_for_job(jobId=self._name(job), maxResults=100, **token)
            except client.exceptions.ResourceNotFoundException:
                return []
            found += [_execution(each) for each in page["executionSummaries"]]
            if not page.get("nextToken"):
                return sorted(found)
            token = {"nextToken": page["nextToken"]}

    def cancel(self, job: str) -> None:
        """See `HeadsetJobs.cancel`. Executions end within a minute."""
        client = self._client()
        ended = (client.exceptions.ResourceNotFoundException, client.exceptions.InvalidRequestException)
        with suppress(*ended):
            client.cancel_job(jobId=self._name(job), reasonCode="ROLLOUT_ENDED", force=True)

    def _name(self, job: str) -> str:
        return job_name(job, self._environment)


def _execution(found: dict[str, Any]) -> JobExecution:
    summary = found["jobExecutionSummary"]
    at = summary.get("lastUpdatedAt") or summary["queuedAt"]
    return JobExecution(found["thingArn"].rpartition("/")[2], STATUSES[summary["status"]], at.timestamp())
