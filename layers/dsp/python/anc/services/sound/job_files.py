"""Stored files of a job: their keys, and its sounds, which are assembled from one part per block."""

from collections.abc import Iterator
from contextlib import suppress

from anc.ports import Conflict, Dependencies
from anc.records import Job

UPLOADS = "uploads/"
RESULT, BEFORE = "cleaned.wav", "before.wav"
REPORT, PLOT, OVERVIEW = "report.json", "report.png", "overview.json"


def result_key(job: Job, name: str) -> str:
    """Return the key of a result file."""
    return f"results/{job.key}/{name}"


def checkpoint_key(job: Job, number: int) -> str:
    """Return the key of the processor state after a block."""
    return f"work/{job.key}/{number}"


def sounds(job: Job) -> Iterator[tuple[str, str]]:
    """Yield file name and id of the multipart upload of each sound: the result, and before filtering."""
    if job.result:
        yield RESULT, job.result
    if job.before:
        yield BEFORE, job.before


def results(job: Job) -> list[str]:
    """Return the names of the files that a finished job has."""
    # Jobs of earlier versions have neither the sound before filtering nor an overview.
    return [*(name for name, _ in sounds(job)), REPORT, PLOT, *([OVERVIEW] if job.before else [])]


def first_block_key(job: Job, name: str) -> str:
    """Return the key of the first block of a sound, which waits for the header with the length."""
    return f"work/{job.key}/first" if name == RESULT else f"work/{job.key}/first-{name}"


def put_block(job: Job, number: int, pcm: dict[str, bytes], deps: Dependencies) -> None:
    """Store a block of each sound. Raises Conflict if another worker finished or abandoned them."""
    for name, upload in sounds(job):
        if number == 1:
            deps.objects.put(first_block_key(job, name), pcm[name])
            continue
        try:
            deps.objects.put_part(result_key(job, name), upload, number, pcm[name])
        except LookupError as fault:
            raise Conflict(job.key) from fault


def finish_sounds(job: Job, header: bytes, deps: Dependencies) -> None:
    """Assemble the sounds, all of the same length. Idempotent."""
    for name, upload in sounds(job):
        first = deps.objects.get(first_block_key(job, name))
        if first is not None:
            with suppress(LookupError):  # finished before
                deps.objects.put_part(result_key(job, name), upload, 1, header + first)
        deps.objects.finish(result_key(job, name), upload)


def abandon_sounds(job: Job, deps: Dependencies) -> None:
    """Delete the parts of sounds that are not finished."""
    for name, upload in sounds(job):
        deps.objects.abandon(result_key(job, name), upload)


def delete_intermediate_files(job: Job, deps: Dependencies) -> None:
    """Delete the upload and the checkpoint as soon as they are no longer needed, for privacy."""
    deps.objects.delete(UPLOADS + job.key)
    if job.blocks:
        deps.objects.delete(checkpoint_key(job, job.blocks))
    for name in (RESULT, BEFORE):
        deps.objects.delete(first_block_key(job, name))
