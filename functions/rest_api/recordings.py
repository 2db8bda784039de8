"""Endpoints for long recordings: uploaded and downloaded by links, processed in the background."""

from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Path

from anc import records
from anc.patterns import ID
from anc.records import Options
from anc.schemas.rest.audio_responses import Job, Jobs, UnfinishedUpload, Upload
from anc.schemas.rest.requests import NewUpload
from anc.services.sound import jobs
from functions.rest_api.request_context import After, Limit, caller, dependencies

router = Router()
TAGS = ["recordings"]
JobId = Annotated[str, Path(pattern=ID)]


@router.post("/api/audio/uploads", tags=TAGS, status_code=HTTPStatus.CREATED)
def announce_upload(body: NewUpload) -> Upload:
    """Announce a recording, and return the links to upload it to.

    A file of up to 8 MiB has one link: PUT the whole file to it, and processing starts. A larger file has a
    link for each part: PUT the parts, then complete the upload. `GET` continues an interrupted upload.
    """
    options = Options(**body.options.model_dump())
    announced = jobs.UploadRequest(size=body.size, name=body.name, options=options)
    return Upload.model_validate(jobs.create(announced, caller(), dependencies()))


@router.post("/api/audio/uploads/<id>", tags=TAGS)
def complete_upload(id: JobId) -> Job:
    """Complete an upload after all of its parts were sent.

    Idempotent: a recording that was uploaded whole, or is already complete, is returned unchanged. The
    refusal `conflict` names the missing parts.
    """
    return _job(jobs.complete(id, caller(), dependencies()))


@router.get("/api/audio/uploads/<id>", tags=TAGS)
def resume_upload(id: JobId) -> UnfinishedUpload:
    """Return the parts of an interrupted upload that have not arrived, with new links.

    PUT them, then complete the upload. `missing` is empty if the whole file has arrived.
    """
    return UnfinishedUpload.model_validate(jobs.resume(id, caller(), dependencies()))


@router.get("/api/audio/jobs", tags=TAGS)
def list_jobs(limit: Limit = 100, after: After = "") -> Jobs:
    """List the caller's recordings, page by page."""
    page = jobs.list_own(caller(), dependencies(), limit, after)
    return Jobs(jobs=[_job(job) for job in page], next=page[-1].key if len(page) == limit else None)


@router.get("/api/audio/jobs/<id>", tags=TAGS)
def get_job(id: JobId) -> Job:
    """Return the progress of a recording, and links to the results when it is done."""
    job = jobs.find(id, caller(), dependencies())
    done = job.state == "done"
    return _job(job, jobs.downloads(id, caller(), dependencies()) if done else None)


@router.delete("/api/audio/jobs/<id>", tags=TAGS, status_code=HTTPStatus.NO_CONTENT)
def remove_job(id: JobId) -> None:
    """Delete a recording and its results."""
    jobs.remove(id, caller(), dependencies())


def _job(job: records.Job, downloads: dict[str, str] | None = None) -> Job:
    job = jobs.with_arrival(job, dependencies())
    return Job(
        job=job.key,
        name=job.name,
        state=job.state,
        progress=job.progress,
        size=job.size,
        created=job.created,
        failure=job.failure,
        summary=job.summary,
        downloads=downloads or {},
    )
