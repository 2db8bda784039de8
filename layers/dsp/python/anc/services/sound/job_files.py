"""Stored files of a job: their keys, and its result, which is assembled from one part per block."""

from contextlib import suppress

from anc.ports import Conflict, Dependencies
from anc.records import Job

UPLOADS = "uploads/"
RESULT, REPORT, PLOT = "cleaned.wav", "report.json", "report.png"


def result_key(job: Job, name: str) -> str:
    """Return the key of a result file."""
    return f"results/{job.key}/{name}"


def checkpoint_key(job: Job, number: int) -> str:
    """Return the key of the processor state after a block."""
    return f"work/{job.key}/{number}"


def first_block_key(job: Job) -> str:
    """Return the key of the first block of the result, which waits for the header with the length."""
    return f"work/{job.key}/first"


def put_block(job: Job, number: int, pcm: bytes, deps: Dependencies) -> None:
    """Store a block of the result. Raises Conflict if another worker finished or abandoned it."""
    if number == 1:
        deps.objects.put(first_block_key(job), pcm)
        return
    try:
        deps.objects.put_part(result_key(job, RESULT), job.result, number, pcm)
    except LookupError as fault:
        raise Conflict(job.key) from fault


def finish_result(job: Job, header: bytes, deps: Dependencies) -> None:
    """Assemble the result. Idempotent."""
    first = deps.objects.get(first_block_key(job))
    if first is not None:
        with suppress(LookupError):  # finished before
            deps.objects.put_part(result_key(job, RESULT), job.result, 1, header + first)
    deps.objects.finish(result_key(job, RESULT), job.result)


def delete_intermediate_files(job: Job, deps: Dependencies) -> None:
    """Delete the upload and the checkpoint as soon as they are no longer needed, for privacy."""
    deps.objects.delete(UPLOADS + job.key)
    if job.blocks:
        deps.objects.delete(checkpoint_key(job, job.blocks))
    deps.objects.delete(first_block_key(job))
