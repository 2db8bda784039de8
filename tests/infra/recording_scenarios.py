"""Scenarios of recordings: upload, processing and deletion."""

from typing import Any

import httpx
import numpy as np

from anc.ports import MIN_PART_BYTES
from anc.records import SocketConnection
from anc.services.sound import job_processing
from tests.infra.account import Account, AlmostOutOfTime
from tests.infra.messages import upload_notification
from tests.recordings import sound_file, two_microphones

JOBS, JOB, UPLOADS = "/api/audio/jobs", "/api/audio/jobs/{id}", "/api/audio/uploads"


def announced(aws: Account, data: bytes, **options: Any) -> str:
    """Create an upload and send a recording to its link."""
    made = aws.rest("POST", UPLOADS, {"size": len(data), "options": options})[1]
    assert httpx.URL(made["links"][0]).params["X-Amz-SignedHeaders"] == "content-length;host"
    aws.deps.objects.put(f"uploads/{made['job']}", data)
    return str(made["job"])


def a_recording_is_filtered(aws: Account) -> None:
    """A recording that has arrived becomes a result."""
    job = announced(aws, sound_file(two_microphones()))
    assert aws.consume("recording_processor", upload_notification(job)) == []
    assert aws.rest("GET", JOB, id=job)[1]["state"] == "done"


def a_recording_is_uploaded_processed_and_deleted(aws: Account) -> None:
    """From the upload link to the download links."""
    job = announced(aws, sound_file(two_microphones()))
    deps = aws.deps
    for name in ("open", "closed"):
        deps.connections.put(SocketConnection(key=name, group="alice", role="listener", expires=None))
    aws.limits.is_gone = "closed".__eq__
    assert aws.consume("recording_processor", upload_notification(job)) == []
    messages = aws.waiting("updates")
    assert messages == [{"kind": "recording_finished", "job": job}]
    assert aws.consume("audio_sender", *messages) == []
    assert [each.key for each in deps.connections.list("alice")] == ["open"]
    answer = aws.rest("GET", JOB, id=job)[1]
    assert answer["state"] == "done"
    results = {"cleaned.wav", "before.wav", "report.json", "report.png", "overview.json"}
    assert set(answer["downloads"]) == results
    assert len(aws.rest("GET", JOBS)[1]["jobs"]) == 1
    assert aws.rest("DELETE", JOB, id=job)[0] == 204
    assert [name for name in results if deps.objects.get(f"results/{job}/{name}")] == []


def a_large_recording_is_uploaded_in_parts(aws: Account) -> None:
    """The client completes the upload; repeating it is allowed, completing it with missing parts is not."""
    made = aws.rest("POST", UPLOADS, {"size": 9 * 1024**2})[1]
    assert len(made["links"]) == 2
    assert aws.rest("POST", f"{UPLOADS}/{{id}}", id=made["job"])[0] == 409
    key = f"uploads/{made['job']}"
    job = aws.deps.jobs.get(made["job"])
    assert job is not None
    aws.deps.objects.put_part(key, job.upload, 1, bytes(MIN_PART_BYTES))
    assert aws.rest("POST", f"{UPLOADS}/{{id}}", id=made["job"])[0] == 409
    left = aws.rest("GET", f"{UPLOADS}/{{id}}", id=made["job"])[1]
    assert [part["number"] for part in left["missing"]] == [2]
    aws.deps.objects.put_part(key, job.upload, 2, b"the last part")
    for _ in range(2):
        assert aws.rest("POST", f"{UPLOADS}/{{id}}", id=made["job"])[0] == 200
    assert aws.rest("DELETE", JOB, id=made["job"])[0] == 204


def a_long_recording_continues_where_the_last_worker_stopped(aws: Account) -> None:
    """A worker that is almost out of time queues the job again."""
    quiet = np.zeros(job_processing.BLOCK_FRAMES + 1000)
    job = announced(aws, sound_file(quiet, rate=192_000), mode="classify")
    context = AlmostOutOfTime("recording_processor")
    assert aws.consume("recording_processor", upload_notification(job), context=context) == []
    waiting_job = {"kind": "recording_waiting", "job": job, "owner": "alice"}
    assert aws.waiting("recordings") == [waiting_job]
    waiting = aws.deps.jobs.get(job)
    assert waiting is not None
    assert (waiting.state, waiting.blocks) == ("waiting", 1)
    assert aws.consume("recording_processor", waiting_job) == []
    assert aws.rest("GET", JOB, id=job)[1]["state"] == "done"


def a_recording_with_invalid_samples_fails_with_a_reason(aws: Account) -> None:
    """Its partial result is deleted."""
    samples = two_microphones(8.0)
    samples[-1000:] = np.inf
    job = announced(aws, sound_file(samples, "WAV", "FLOAT"))
    assert aws.consume("recording_processor", upload_notification(job)) == []
    answer = aws.rest("GET", JOB, id=job)[1]
    assert answer["state"] == "failed"
    assert "must be finite" in answer["failure"]


def an_unannounced_upload_is_removed(aws: Account) -> None:
    """It belongs to no job."""
    aws.deps.objects.put("uploads/unannounced", b"sound")
    assert aws.consume("recording_processor", upload_notification("unannounced")) == []
    assert aws.deps.objects.get("uploads/unannounced") is None
