"""Recordings of hours: uploaded, treated a block at a time by one invocation after the other, and fetched.

A block is about a minute of sound. It is committed by one conditional write, after its part of the result and
the checkpoint behind it are stored: a block that is committed is never done again, one that was broken off is
done from its beginning, and of two workers on one job only one gets on. A job that was broken off makes the
same result to the last bit (mp3 below 32 kHz: within one step of the 16-bit scale, since libmpg123 decodes to
another last bit of a float after a seek).
"""

import math
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated

import msgspec
from msgspec import Meta

from anc.audio.reader import AudioReader
from anc.lifetimes import DOWNLOAD_LINK_HOURS, HOUR_S, UPLOAD_LINK_HOURS
from anc.ports import Conflict, Dependencies, Gone, ObjectChanged
from anc.records import Job, Options
from anc.schemas.messages import RecordingFinished, RecordingWaiting
from anc.schemas.refusal import Refused, refuse
from anc.schemas.websocket import JobUpdate, encode
from anc.services.access import accounts
from anc.services.access.identity import Caller
from anc.services.access.quotas import Quota, release, reserve
from anc.services.sound.recordings import BLOCK, RecordingProcessor, classifier, residuals, wav_header
from anc.services.sound.report import RecordingReport

UPLOADS = "uploads/"
FINISHED = ("done", "failed")
RESULT, REPORT, PICTURE = "cleaned.wav", "report.json", "report.png"
BLOCK_FRAMES = 48 * BLOCK  # 6 MiB of result: above what S3 takes for a part, and about a minute
MARGIN_S = 5.0
ATTEMPTS = 3
KEPT_S = 30 * 86_400.0  # as long as the bucket keeps files
FETCH_S = DOWNLOAD_LINK_HOURS * HOUR_S
UPLOAD_S = UPLOAD_LINK_HOURS * HOUR_S
ANNOUNCED_S = 86_400.0  # for which a recording is expected
LARGEST = 12 * 1024**3
WHOLE_UP_TO = 64 * 1024**2  # larger files are sent in parts of this size
PAGE = 100


def bytes_of(job: Job) -> int:
    """Return the bytes that are stored of a job, or will be: its upload, and then its result."""
    if job.state in FINISHED:
        return 2 * job.frames if job.state == "done" and job.result else 0
    return job.size


RECORDINGS = Quota(
    name="recordings",
    things="recordings",
    most=lambda settings: settings.quota_recordings,
    table=lambda deps: deps.jobs,
    remedy="delete one",
    bytes_of=bytes_of,
    most_bytes=lambda settings: settings.quota_recording_bytes,
)
UNFINISHED = Quota(
    name="unfinished_recordings",
    things="unfinished recordings",
    most=lambda settings: settings.quota_unfinished_recordings,
    table=lambda deps: deps.jobs,
    remedy="wait until one is done, or delete one",
    bytes_of=lambda job: None if job.state in FINISHED else 0,
)


class Announcement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recording that will be uploaded.

    Attributes
    ----------
    size : int
        Bytes, exactly.
    name : str
        What its owner calls it.
    options : Options
    """

    size: Annotated[int, Meta(ge=1, le=LARGEST)]
    name: Annotated[str, Meta(min_length=1, max_length=200)] = "recording"
    options: Options = Options()


class Upload(msgspec.Struct, frozen=True):
    """How to send a recording: PUT it to the one link, or a part to each and then say so.

    Attributes
    ----------
    job : str
    links : list of str
    part_bytes : int
        Of every part but the last; of a file that is sent whole its size.
    expires : float
        Seconds since the epoch, when the links end.
    """

    job: str
    links: list[str]
    part_bytes: int
    expires: float


def announce(request: Announcement, caller: Caller, deps: Dependencies) -> Upload:
    """Create the job of a recording, and the links to upload it.

    Raises
    ------
    Refused
        `too_many` when the person has as many recordings, or bytes of them, as the settings allow.
    """
    key, now = secrets.token_urlsafe(18), deps.clock()
    _reserve(key, request.size, caller, deps)
    job = Job(
        key=key,
        group=caller.user,
        expires=now + ANNOUNCED_S,
        options=request.options,
        name=request.name,
        size=request.size,
        created=now,
    )
    source, files = UPLOADS + job.key, deps.objects
    if request.size <= WHOLE_UP_TO:
        links = [files.upload_link(source, request.size, UPLOAD_S)]
    else:
        job = job.replace(upload=files.begin(source))
        sizes = [min(WHOLE_UP_TO, request.size - at) for at in range(0, request.size, WHOLE_UP_TO)]
        links = [
            files.part_link(source, job.upload, number, size, UPLOAD_S)
            for number, size in enumerate(sizes, 1)
        ]
    deps.jobs.put(job)
    deps.count("jobs_announced")
    return Upload(job.key, links, min(request.size, WHOLE_UP_TO), now + UPLOAD_S)


def _reserve(key: str, size: int, caller: Caller, deps: Dependencies) -> None:
    reserve(UNFINISHED, key, caller.user, deps)
    try:
        reserve(RECORDINGS, key, caller.user, deps, size)
    except Refused:
        release(UNFINISHED, key, caller.user, deps)
        raise


def complete(job_id: str, caller: Caller, deps: Dependencies) -> Job:
    """Put the parts of an upload together, if it was sent in parts, and return the job.

    Idempotent: a file that was sent whole, is complete, being processed, or done is returned as it is.

    Raises
    ------
    Refused
        `unknown_job`; `conflict` while the file, or a part of it, has not arrived.
    """
    job = find(job_id, caller, deps)
    source = UPLOADS + job.key
    missing = _missing(job, deps)
    if job.upload and job.state == "uploading" and not missing:
        with suppress(LookupError):  # completed by another call just now, and the worker is done with it
            deps.objects.finish(source, job.upload)
    arrived = deps.objects.info(source)
    job = find(job_id, caller, deps)  # after `arrived`: a worker removes the file when it is done
    if job.state == "uploading" and not arrived:
        refuse("conflict", f"upload: {missing} has not arrived; send it to its link, then complete it")
    return job


def _missing(job: Job, deps: Dependencies) -> str:
    """Return what of an upload has not been stored as a part; "" when all parts are."""
    if not job.upload:
        return "the file"
    number = math.ceil(job.size / WHOLE_UP_TO)
    stored = deps.objects.stored_parts(UPLOADS + job.key, job.upload)
    first = next((part for part in range(1, number + 1) if part not in stored), None)
    return f"part {first} of {number}" if first else ""


def find(job_id: str, caller: Caller, deps: Dependencies) -> Job:
    """Return a job of the caller. To others it does not exist."""
    job = deps.jobs.get(job_id)
    if job is None or job.group != caller.user:
        refuse("unknown_job", "job: there is none of this name; recordings are kept for 30 days")
    return job


def list_own(caller: Caller, deps: Dependencies, limit: int = 100, after: str = "") -> Sequence[Job]:
    """Return the caller's jobs by id."""
    return deps.jobs.list(caller.user, limit, after)


def downloads(job_id: str, caller: Caller, deps: Dependencies) -> dict[str, str]:
    """Return links to `cleaned.wav` (if there is one), `report.json` and `report.png`.

    Raises
    ------
    Refused
        `unknown_job`; `not_ready` while it is not done.
    """
    job = find(job_id, caller, deps)
    if job.state != "done":
        refuse("not_ready", f"job: {job.state}; there are results when it is done")
    names = [RESULT, REPORT, PICTURE] if job.result else [REPORT, PICTURE]
    return {name: deps.objects.download_link(_result(job, name), FETCH_S, name) for name in names}


def remove(job_id: str, caller: Caller, deps: Dependencies) -> None:
    """Forget a job and everything that was stored of it. A worker that is at it stops at its next block."""
    job = find(job_id, caller, deps)
    _delete_files(job, deps)  # before the record, so that whoever is cut short finds the job again
    deps.jobs.delete(job.key)
    for quota in (UNFINISHED, RECORDINGS):
        release(quota, job.key, job.group, deps)
    _delete_files(job, deps)  # what a worker stored in between
    deps.count("jobs_removed")


def may_transfer(key: str, deps: Dependencies) -> bool:
    """Return whether a file may still be sent or fetched: its job exists, and its owner was not removed."""
    job = deps.jobs.get(key.partition("/")[2].partition("/")[0])
    account = accounts.cached_account(job.group, deps) if job else None
    return job is not None and not (account and account.removed)


def _delete_files(job: Job, deps: Dependencies) -> None:
    if job.upload:
        deps.objects.abandon(UPLOADS + job.key, job.upload)
    if job.result:
        deps.objects.abandon(_result(job, RESULT), job.result)
    for name in (RESULT, REPORT, PICTURE):
        deps.objects.delete(_result(job, name))
    _forget_work(job, deps)


def job_of(key: str) -> str:
    """Return the job whose upload has this key."""
    return key.removeprefix(UPLOADS)


def work(job_id: str, deps: Dependencies, remaining_s: Callable[[], float]) -> None:
    """Take a job on from its last block, until it is done or time is nearly over; then queue it again.

    Parameters
    ----------
    job_id : str
    world : World
    remaining_s : callable
        Returns the seconds after which this worker is stopped. One block is always done.
    """
    job = deps.jobs.get(job_id)
    if job is None:  # removed: what was uploaded to it since is nobody's
        deps.objects.delete(UPLOADS + job_id)
        return
    try:
        if job.state in FINISHED:  # delivered again: the first time may have ended before this
            _close(job, deps)
        else:
            _advance(job, deps, remaining_s)
    except Refused as refusal:
        _fail(job_id, refusal, deps)
    except ObjectChanged:
        _fail(job_id, Refused("changed", "file: it was replaced while it was being processed"), deps)
    except Conflict:  # another worker has this job, or it was removed
        deps.count("jobs_overtaken")


def notify_owner(job_id: str, deps: Dependencies) -> None:
    """Push what became of a job to every socket of its owner; sockets that are gone are forgotten."""
    job = deps.jobs.get(job_id)
    if job is None:
        return
    frame = encode(JobUpdate(job.key, job.name, job.state, job.summary, job.failure))
    for connection in deps.connections.list(job.group, limit=PAGE):
        if not connection.notify_jobs:
            continue
        try:
            deps.sockets.post(connection.key, frame)
        except Gone:
            deps.connections.delete(connection.key)


def _advance(job: Job, deps: Dependencies, remaining_s: Callable[[], float]) -> None:
    job = _taken(job, deps)
    with deps.objects.open(UPLOADS + job.key, job.source) as file, AudioReader(file) as source:
        treatment = _processor(job, source, deps)
        if treatment.options.mode != "classify" and not job.result:
            job = deps.jobs.put(job.replace(result=deps.objects.begin(_result(job, RESULT))))
        slowest_s = 0.0
        while treatment.frames < source.frames:
            if slowest_s and remaining_s() < 2 * slowest_s + MARGIN_S:
                deps.jobs.put(job.replace(state="waiting"))
                deps.recordings.send(RecordingWaiting(job.key, job.group))
                return
            begun = time.monotonic()
            job = _block(job, source, treatment, deps)
            slowest_s = max(slowest_s, time.monotonic() - begun)
    _finish(job, treatment.report(), deps)


def _taken(job: Job, deps: Dependencies) -> Job:
    """Note that the next block is begun. From now on whoever was at it before cannot commit any more."""
    about = deps.objects.info(UPLOADS + job.key)
    if about is None:
        refuse("not_found", "file: its upload is gone")
    if about.size != job.size:
        refuse("bad_field", f"file: {about.size:,} bytes arrived, {job.size:,} were announced")
    if job.attempts >= ATTEMPTS:
        refuse(
            "gave_up", f"file: {ATTEMPTS} workers broke off after {job.progress:.0%}; nothing more is tried"
        )
    return deps.jobs.put(
        job.replace(
            state="running",
            attempts=job.attempts + 1,
            source=job.source or about.etag,
            expires=job.created + KEPT_S,
        )
    )


def _processor(job: Job, source: AudioReader, deps: Dependencies) -> RecordingProcessor:
    hears = classifier(deps.settings)
    if not job.blocks:
        return RecordingProcessor(job.options, source.rate, source.channels, hears)
    checkpoint = deps.objects.get(_checkpoint(job, job.blocks))
    if checkpoint is None:
        raise Conflict(job.key)  # the job is further than we know
    deps.objects.delete(
        _checkpoint(job, job.blocks - 1)
    )  # whoever committed the block may not have got to it
    source.seek(job.frames)
    return RecordingProcessor.from_state(checkpoint, hears)


def _block(job: Job, source: AudioReader, treatment: RecordingProcessor, deps: Dependencies) -> Job:
    number = job.blocks + 1
    pcm = b"".join(residual.tobytes() for residual in residuals(source, treatment, BLOCK_FRAMES))
    if job.result:
        header = wav_header(2 * source.frames, source.rate) if number == 1 else b""
        try:
            deps.objects.put_part(_result(job, RESULT), job.result, number, header + pcm)
        except LookupError as fault:
            raise Conflict(job.key) from fault  # finished or abandoned by somebody else
    deps.objects.put(_checkpoint(job, number), treatment.state())
    progress = treatment.frames / source.frames
    stored = deps.jobs.put(job.replace(blocks=number, frames=treatment.frames, attempts=0, progress=progress))
    deps.objects.delete(_checkpoint(job, number - 1))
    return stored


def _finish(job: Job, report: RecordingReport, deps: Dependencies) -> None:
    from anc.services.sound.report_plot import plot_report  # noqa: PLC0415  Pillow is for the few who have a report to draw

    if job.result:
        deps.objects.finish(_result(job, RESULT), job.result)
    deps.objects.put(_result(job, REPORT), msgspec.json.encode(report))
    deps.objects.put(_result(job, PICTURE), plot_report(report))
    done = deps.jobs.put(job.replace(state="done", progress=1.0, summary=report.summary()))
    deps.count("jobs_done")
    _close(done, deps)


def _fail(job_id: str, refusal: Refused, deps: Dependencies) -> None:
    job = deps.jobs.get(job_id)
    if job is None:
        return
    failed = deps.jobs.put(job.replace(state="failed", failure=refusal.message))
    if job.result:
        deps.objects.abandon(_result(job, RESULT), job.result)
    deps.count(f"jobs_refused_{refusal.code}")
    _close(failed, deps)


def _close(job: Job, deps: Dependencies) -> None:
    _forget_work(job, deps)
    deps.updates.send(RecordingFinished(job.key))


def _forget_work(job: Job, deps: Dependencies) -> None:
    """Drop the upload and the checkpoint: what people recorded is not kept longer than it is needed."""
    deps.objects.delete(UPLOADS + job.key)
    if job.blocks:
        deps.objects.delete(_checkpoint(job, job.blocks))


def _result(job: Job, name: str) -> str:
    return f"results/{job.key}/{name}"


def _checkpoint(job: Job, number: int) -> str:
    return f"work/{job.key}/{number}"
