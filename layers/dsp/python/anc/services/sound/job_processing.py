"""Process the job of a recording in blocks over several invocations.

A block is about a minute of sound. Its parts of the sounds and a checkpoint are stored first, then one
conditional write commits it. A committed block is never processed again, an interrupted one is repeated from
its beginning, and only one of two workers on a job can commit. The result of an interrupted job is bit for
bit the same. The first part of a sound waits in a file of its own for the header with the length.

A job that does not fit into one invocation is queued again, which ends: every invocation commits at least one
block or counts a failed attempt at it, and a block has `ATTEMPTS`.
"""

import time
from collections.abc import Callable

import msgspec

from anc.audio.reader import AudioReader
from anc.ports import Conflict, Dependencies, ObjectChanged
from anc.records import Job
from anc.schemas.messages import RecordingFinished, RecordingWaiting
from anc.schemas.refusal import Refused, refuse
from anc.services.sound.job_files import (
    BEFORE,
    OVERVIEW,
    PLOT,
    REPORT,
    RESULT,
    UPLOADS,
    abandon_sounds,
    checkpoint_key,
    delete_intermediate_files,
    finish_sounds,
    put_block,
    result_key,
)
from anc.services.sound.jobs import FINISHED, RETENTION_S
from anc.services.sound.recordings import BLOCK, RecordingProcessor, classifier, processed, wav_header
from anc.services.sound.report import RecordingReport

BLOCK_FRAMES = 48 * BLOCK  # about a minute; its 6 MiB of result exceed S3's minimum part size
MARGIN_S = 5.0
ATTEMPTS = 3


def process(job_id: str, deps: Dependencies, remaining_s: Callable[[], float]) -> None:
    """Process a job from its last block until it is done or time is short; then queue it again.

    Parameters
    ----------
    job_id : str
    deps : Dependencies
    remaining_s : callable
        Returns the seconds until this worker is stopped. At least one block is processed.
    """
    job = deps.jobs.get(job_id)
    if job is None:  # the job was removed before the upload arrived
        deps.objects.delete(UPLOADS + job_id)
        return
    try:
        if job.state in FINISHED:  # delivered again: the first delivery may have been interrupted
            _delete_files_and_notify(job, deps)
        else:
            _advance(job, deps, remaining_s)
    except Refused as refusal:
        _fail(job_id, refusal, deps)
    except ObjectChanged:
        _fail(job_id, Refused("changed", "file: was replaced while it was being processed"), deps)
    except Conflict:  # another worker has this job, or it was removed
        deps.count("jobs_overtaken")


def _advance(job: Job, deps: Dependencies, remaining_s: Callable[[], float]) -> None:
    job = _claim(job, deps)
    with deps.objects.open(UPLOADS + job.key, job.source) as file, AudioReader(file) as source:
        processor = _processor(job, source, deps)
        if not job.blocks:
            job = _begin_sounds(job, processor, deps)
        longest_s = 0.0
        while not source.ended:
            if longest_s and remaining_s() < 2 * longest_s + MARGIN_S:
                deps.jobs.put(job.replace(state="waiting"))
                deps.recordings.send(RecordingWaiting(job.key, job.group))
                return
            begun = time.monotonic()
            job = _process_block(job, source, processor, deps)
            longest_s = max(longest_s, time.monotonic() - begun)
        report = processor.report(source.note)
    _finish(job, report, processor, deps)


def _claim(job: Job, deps: Dependencies) -> Job:
    """Mark the next block as started. A previous worker can no longer commit."""
    upload = deps.objects.info(UPLOADS + job.key)
    if upload is None:
        refuse("not_found", "file: the upload no longer exists")
    if upload.size != job.size:
        refuse("bad_field", f"file: must have the announced {job.size:,} bytes (got {upload.size:,})")
    if job.attempts >= ATTEMPTS:
        refuse("gave_up", f"file: {ATTEMPTS} attempts failed after {job.progress:.0%}; upload it again")
    return deps.jobs.put(
        job.replace(
            state="running",
            attempts=job.attempts + 1,
            source=job.source or upload.etag,
            expires=job.created + RETENTION_S,
        )
    )


def _processor(job: Job, source: AudioReader, deps: Dependencies) -> RecordingProcessor:
    model = classifier(deps.settings)
    if not job.blocks:
        return RecordingProcessor(job.options, source.rate, source.channels, model)
    checkpoint = deps.objects.get(checkpoint_key(job, job.blocks))
    if checkpoint is None:
        raise Conflict(job.key)  # another worker has committed a later block
    deps.objects.delete(checkpoint_key(job, job.blocks - 1))  # left over if the last worker was interrupted
    source.seek(job.frames)
    return RecordingProcessor.from_state(checkpoint, model)


def _begin_sounds(job: Job, processor: RecordingProcessor, deps: Dependencies) -> Job:
    wanted = (
        {"before": BEFORE} if processor.options.mode == "classify" else {"result": RESULT, "before": BEFORE}
    )
    begun = {
        field: deps.objects.begin(result_key(job, name))
        for field, name in wanted.items()
        if not getattr(job, field)
    }
    return deps.jobs.put(job.replace(**begun)) if begun else job


def _process_block(job: Job, source: AudioReader, processor: RecordingProcessor, deps: Dependencies) -> Job:
    number = job.blocks + 1
    pieces = list(processed(source, processor, BLOCK_FRAMES))
    if processor.frames == job.frames:  # the last block ended with the file
        return job
    before, residuals = (b"".join(each.tobytes() for each in sound) for sound in zip(*pieces, strict=True))
    put_block(job, number, {BEFORE: before, RESULT: residuals}, deps)
    deps.objects.put(checkpoint_key(job, number), processor.state())
    stored = deps.jobs.put(
        job.replace(blocks=number, frames=processor.frames, attempts=0, progress=source.progress)
    )
    deps.objects.delete(checkpoint_key(job, number - 1))
    return stored


def _finish(job: Job, report: RecordingReport, processor: RecordingProcessor, deps: Dependencies) -> None:
    from anc.services.sound.report_plot import plot_report  # noqa: PLC0415  Pillow is slow to import and rarely needed

    finish_sounds(job, wav_header(2 * processor.frames, processor.rate), deps)
    overview = processor.overview()
    if overview:
        deps.objects.put(result_key(job, OVERVIEW), msgspec.json.encode(overview))
    deps.objects.put(result_key(job, REPORT), msgspec.json.encode(report))
    deps.objects.put(result_key(job, PLOT), plot_report(report))
    done = deps.jobs.put(job.replace(state="done", progress=1.0, summary=report.summary()))
    deps.count("jobs_done")
    _delete_files_and_notify(done, deps)


def _fail(job_id: str, refusal: Refused, deps: Dependencies) -> None:
    job = deps.jobs.get(job_id)
    if job is None:
        return
    failed = deps.jobs.put(job.replace(state="failed", failure=refusal.message))
    abandon_sounds(job, deps)
    deps.count(f"jobs_refused_{refusal.code}")
    _delete_files_and_notify(failed, deps)


def _delete_files_and_notify(job: Job, deps: Dependencies) -> None:
    delete_intermediate_files(job, deps)
    deps.updates.send(RecordingFinished(job.key))
