"""Jobs for long recordings: upload, list, download, delete; `job_processing` processes them."""

import math
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import msgspec
from msgspec import Meta

from anc.lifetimes import DOWNLOAD_LINK_HOURS, HOUR_S, UPLOAD_LINK_HOURS
from anc.ports import Dependencies, Gone
from anc.records import Job, Options
from anc.schemas.refusal import Refused, refuse
from anc.schemas.websocket import JobUpdate, encode
from anc.services.access import accounts
from anc.services.access.identity import Caller
from anc.services.access.quotas import Quota, release, reserve
from anc.services.sound.job_files import (
    BEFORE,
    OVERVIEW,
    PLOT,
    REPORT,
    RESULT,
    UPLOADS,
    abandon_sounds,
    delete_intermediate_files,
    result_key,
    results,
    sounds,
)

FINISHED = ("done", "failed")
RETENTION_S = 30 * 86_400.0  # lifetime of files in the bucket
DOWNLOAD_LINK_S = DOWNLOAD_LINK_HOURS * HOUR_S
UPLOAD_LINK_S = UPLOAD_LINK_HOURS * HOUR_S
UPLOAD_DEADLINE_S = 86_400.0  # lifetime of a job whose recording does not arrive
MAX_UPLOAD_BYTES = 12 * 1024**3
PART_BYTES = 8 * 1024**2  # larger files are uploaded in parts, which an interrupted upload need not repeat
MAX_PART_BYTES = 64 * 1024**2
MAX_PARTS = 200  # so that the answer with their links stays below 1 MB; of the largest file they have 62 MiB
PAGE = 100


def bytes_of(job: Job) -> int:
    """Return the bytes that a job occupies: of its upload while unfinished, then of its sounds."""
    if job.state in FINISHED:
        return 2 * job.frames * len(list(sounds(job))) if job.state == "done" else 0
    return job.size


RECORDINGS = Quota(
    name="recordings",
    things="recordings",
    limit=lambda settings: settings.quota_recordings,
    table=lambda deps: deps.jobs,
    remedy="delete one",
    bytes_of=bytes_of,
    max_bytes=lambda settings: settings.quota_recording_bytes,
)
UNFINISHED = Quota(
    name="unfinished_recordings",
    things="unfinished recordings",
    limit=lambda settings: settings.quota_unfinished_recordings,
    table=lambda deps: deps.jobs,
    remedy="wait until one is done, or delete one",
    bytes_of=lambda job: None if job.state in FINISHED else 0,
)


class UploadRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Description of a recording to upload.

    Attributes
    ----------
    size : int
        Bytes, exactly.
    name : str
        Display name.
    options : Options
    """

    size: Annotated[int, Meta(ge=1, le=MAX_UPLOAD_BYTES)]
    name: Annotated[str, Meta(min_length=1, max_length=200)] = "recording"
    options: Options = Options()


class Part(msgspec.Struct, frozen=True):
    """A part of an upload that has not arrived, numbered from 1, and its link."""

    number: int
    link: str


class UnfinishedUpload(msgspec.Struct, frozen=True):
    """The parts that an interrupted upload still has to send.

    Attributes
    ----------
    job : str
    size : int
        Bytes of the file.
    part_bytes : int
        Size of every part but the last.
    missing : list of Part
        Empty if the file has arrived.
    expires : float
        When the links expire, seconds since the epoch.
    """

    job: str
    size: int
    part_bytes: int
    missing: list[Part]
    expires: float


class Upload(msgspec.Struct, frozen=True):
    """Upload links. PUT the file to the only link, or a part to each link and then complete the upload.

    Attributes
    ----------
    job : str
    links : list of str
    part_bytes : int
        Size of every part but the last; for a single link the size of the file.
    expires : float
        When the links expire, seconds since the epoch.
    """

    job: str
    links: list[str]
    part_bytes: int
    expires: float


def create(request: UploadRequest, caller: Caller, deps: Dependencies) -> Upload:
    """Create the job of a recording and its upload links.

    Raises
    ------
    Refused
        `too_many` if a quota of recordings or bytes is used up.
    """
    key, now = secrets.token_urlsafe(18), deps.clock()
    _reserve(key, request.size, caller, deps)
    job = Job(
        key=key,
        group=caller.user,
        expires=now + UPLOAD_DEADLINE_S,
        options=request.options,
        name=request.name,
        size=request.size,
        created=now,
    )
    if request.size > PART_BYTES:
        part_bytes = max(PART_BYTES, math.ceil(request.size / MAX_PARTS))
        job = job.replace(upload=deps.objects.begin(UPLOADS + key), part_bytes=part_bytes)
    deps.jobs.put(job)
    deps.count("jobs_announced")
    links = [_part_link(job, number, deps) for number in range(1, _parts(job) + 1)]
    return Upload(key, links, _part_bytes(job), now + UPLOAD_LINK_S)


def resume(job_id: str, caller: Caller, deps: Dependencies) -> UnfinishedUpload:
    """Return new links for the parts of an upload that have not arrived.

    Raises
    ------
    Refused
        `unknown_job`.
    """
    job, now = find(job_id, caller, deps), deps.clock()
    parts = [Part(number, _part_link(job, number, deps)) for number in _missing_parts(job, deps)]
    return UnfinishedUpload(job.key, job.size, _part_bytes(job), parts, now + UPLOAD_LINK_S)


def _part_bytes(job: Job) -> int:
    return (job.part_bytes or MAX_PART_BYTES) if job.upload else max(1, job.size)


def _parts(job: Job) -> int:
    return math.ceil(job.size / _part_bytes(job))


def _part_link(job: Job, number: int, deps: Dependencies) -> str:
    source, files, part = UPLOADS + job.key, deps.objects, _part_bytes(job)
    if not job.upload:
        return files.upload_link(source, job.size, UPLOAD_LINK_S)
    return files.part_link(
        source, job.upload, number, min(part, job.size - (number - 1) * part), UPLOAD_LINK_S
    )


def _reserve(key: str, size: int, caller: Caller, deps: Dependencies) -> None:
    reserve(UNFINISHED, key, caller.user, deps)
    try:
        reserve(RECORDINGS, key, caller.user, deps, size)
    except Refused:
        release(UNFINISHED, key, caller.user, deps)
        raise


def complete(job_id: str, caller: Caller, deps: Dependencies) -> Job:
    """Complete a multipart upload and return the job.

    Idempotent. For a file that was uploaded in one piece or is already complete, only returns the job.

    Raises
    ------
    Refused
        `unknown_job`; `conflict` if the file or a part of it is missing.
    """
    job = find(job_id, caller, deps)
    source = UPLOADS + job.key
    missing = _missing(job, deps)
    if job.upload and job.state == "uploading" and not missing:
        with suppress(LookupError):  # another call completed it, and it is already processed
            deps.objects.finish(source, job.upload)
    arrived = deps.objects.info(source)
    job = find(job_id, caller, deps)  # read after `arrived`: a worker deletes the file when it is done
    if job.state == "uploading" and not arrived:
        refuse(
            "conflict", f"upload: {missing} has not arrived; send it to its link, then complete the upload"
        )
    return job


def with_arrival(job: Job, deps: Dependencies) -> Job:
    """Return a job as its owner sees it: `waiting` from the arrival of its file on.

    Its record changes when a worker claims it. Writing it before would make that worker's write fail.
    """
    if job.state == "uploading" and deps.objects.info(UPLOADS + job.key):
        return job.replace(state="waiting")
    return job


def _missing(job: Job, deps: Dependencies) -> str:
    """Return a description of the first missing part of an upload, "" if all parts are stored."""
    if not job.upload:
        return "the file"
    missing = _missing_parts(job, deps)
    return f"part {missing[0]} of {_parts(job)}" if missing else ""


def _missing_parts(job: Job, deps: Dependencies) -> list[int]:
    if job.state != "uploading" or deps.objects.info(UPLOADS + job.key):
        return []
    stored = deps.objects.stored_parts(UPLOADS + job.key, job.upload) if job.upload else ()
    return [number for number in range(1, _parts(job) + 1) if number not in stored]


def find(job_id: str, caller: Caller, deps: Dependencies) -> Job:
    """Return a job of the caller. Raises Refused, `unknown_job`, also for jobs of others."""
    job = deps.jobs.get(job_id)
    if job is None or job.group != caller.user:
        refuse("unknown_job", "job: not found; recordings are kept for 30 days")
    return job


def list_own(caller: Caller, deps: Dependencies, limit: int = 100, after: str = "") -> Sequence[Job]:
    """Return the caller's jobs, sorted by id."""
    return deps.jobs.list(caller.user, limit, after)


def downloads(job_id: str, caller: Caller, deps: Dependencies) -> dict[str, str]:
    """Return links to the results by name.

    `cleaned.wav` is the result of filtering, if there was any, `before.wav` the same channel before it,
    `overview.json` the pictures of both for a player; `report.json` and `report.png` are the report.

    Raises
    ------
    Refused
        `unknown_job`; `not_ready` if the job is not done.
    """
    job = find(job_id, caller, deps)
    if job.state != "done":
        refuse("not_ready", f"job: must be done before results are available (state is {job.state})")
    return {
        name: deps.objects.download_link(result_key(job, name), DOWNLOAD_LINK_S, name)
        for name in results(job)
    }


def remove(job_id: str, caller: Caller, deps: Dependencies) -> None:
    """Delete a job and its files. A worker that is processing it stops at its next block."""
    job = find(job_id, caller, deps)
    _delete_files(job, deps)  # before the record, so that an interrupted call can be repeated
    deps.jobs.delete(job.key)
    for quota in (UNFINISHED, RECORDINGS):
        release(quota, job.key, job.group, deps)
    _delete_files(job, deps)  # stored by a worker in the meantime
    deps.count("jobs_removed")


def may_transfer(key: str, deps: Dependencies) -> bool:
    """Return whether a file may be transferred: its job exists and its owner was not removed."""
    job = deps.jobs.get(key.partition("/")[2].partition("/")[0])
    account = accounts.cached_account(job.group, deps) if job else None
    return job is not None and not (account and account.removed)


def _delete_files(job: Job, deps: Dependencies) -> None:
    if job.upload:
        deps.objects.abandon(UPLOADS + job.key, job.upload)
    abandon_sounds(job, deps)
    for name in (RESULT, BEFORE, REPORT, PLOT, OVERVIEW):
        deps.objects.delete(result_key(job, name))
    delete_intermediate_files(job, deps)


def job_of(key: str) -> str:
    """Return the id of the job whose upload has this key."""
    return key.removeprefix(UPLOADS)


def notify_owner(job_id: str, deps: Dependencies) -> None:
    """Push the outcome of a job to every socket of its owner; delete connections that are closed."""
    job = deps.jobs.get(job_id)
    if job is None:
        return
    frame = encode(JobUpdate(job.key, job.name, job.state, job.summary, job.failure))
    for connection in deps.connections.list(job.group, limit=PAGE):
        if not connection.notify_jobs:
            continue
        with deps.best_effort("frames_not_sent", "notifying an owner"):
            try:
                deps.sockets.post(connection.key, frame)
            except Gone:
                deps.connections.delete(connection.key)
