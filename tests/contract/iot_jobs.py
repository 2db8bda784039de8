"""AWS IoT Jobs over the jobs of moto, which lacks what is added here.

moto accepts a second job of the same name and any number of targets, lets things be absent, cancels a job
without its executions, and has no data plane, by which headsets execute jobs.

References
----------
AWS IoT API Reference, "CreateJob", "CancelJob"; Developer Guide, "Jobs and job execution states".
"""

from datetime import UTC, datetime
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.iot.models import iot_backends

MAX_TARGETS = 100
PENDING = ("IN_PROGRESS", "QUEUED")


class IotJobsService:
    """The calls of a boto3 client about jobs, and of the headsets' data plane.

    Parameters
    ----------
    iot : boto3 client
    clock : callable
    """

    def __init__(self, iot: Any, clock: Any) -> None:
        self._iot = iot
        self._clock = clock
        self._backend = iot_backends[DEFAULT_ACCOUNT_ID][iot.meta.region_name]
        self.exceptions = iot.exceptions

    def create_job(self, jobId: str, targets: list[str], **options: Any) -> Any:
        """Create a job, whose targets must exist."""
        assert 1 <= len(targets) <= MAX_TARGETS
        for target in targets:
            self._iot.describe_thing(thingName=target.rpartition("/")[2])
        if jobId in self._backend.jobs:
            error = {"Error": {"Code": "ResourceAlreadyExistsException", "Message": jobId}}
            raise self.exceptions.ResourceAlreadyExistsException(error, "CreateJob")
        answer = self._iot.create_job(jobId=jobId, targets=targets, **options)
        for thing in targets:
            self._set(jobId, thing.rpartition("/")[2], "QUEUED")
        return answer

    def list_job_executions_for_job(self, jobId: str, **options: Any) -> Any:
        """Return a page of the executions of a job."""
        if jobId not in self._backend.jobs:
            error = {"Error": {"Code": "ResourceNotFoundException", "Message": jobId}}
            raise self.exceptions.ResourceNotFoundException(error, "ListJobExecutionsForJob")
        return self._iot.list_job_executions_for_job(jobId=jobId, **options)

    def cancel_job(self, jobId: str, reasonCode: str, force: bool) -> Any:
        """Cancel a job and, with `force`, the executions in progress too."""
        if jobId not in self._backend.jobs:
            error = {"Error": {"Code": "ResourceNotFoundException", "Message": jobId}}
            raise self.exceptions.ResourceNotFoundException(error, "CancelJob")
        for (job, thing), execution in self._backend.job_executions.items():
            if job == jobId and execution.status in (PENDING if force else PENDING[1:]):
                self._set(job, thing, "CANCELED")
        return self._iot.cancel_job(jobId=jobId, reasonCode=reasonCode, force=force)

    def start_next(self, thing: str) -> str:
        """Start the next job of a headset; return its name, or "" for none."""
        for status in PENDING:
            for (job, owner), execution in self._backend.job_executions.items():
                if owner == thing and execution.status == status:
                    self._set(job, thing, "IN_PROGRESS")
                    return job
        return ""

    def update(self, job: str, thing: str, status: str) -> None:
        """Report the status of a job."""
        assert self._backend.job_executions[job, thing].status in PENDING
        self._set(job, thing, status)

    def document(self, job: str) -> Any:
        """Return the document of a job."""
        return self._backend.jobs[job].document

    def _set(self, job: str, thing: str, status: str) -> None:
        execution = self._backend.job_executions[job, thing]
        execution.status = status
        execution.last_updated_at = datetime.fromtimestamp(self._clock(), UTC)
