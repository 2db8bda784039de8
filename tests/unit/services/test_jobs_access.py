"""Jobs for long recordings from the owner's view: upload, notification, download, removal, privacy."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from anc.ports import Dependencies
from anc.records import Job, SocketConnection
from anc.schemas.messages import RecordingFinished
from anc.schemas.refusal import Refused
from anc.services.sound import job_processing, jobs, recordings
from anc.services.sound.jobs import UploadRequest
from functions.audio_sender.handler import handler as sender
from functions.recording_processor.handler import handler as processor
from local.lambda_context import LocalContext
from local.storage.objects import arrival_event
from local.storage.queues import sqs_event
from tests.fakes import ALICE, BOB, FakePlatform, make_dependencies
from tests.recordings import LONG, done, left, sound_file, two_microphones, uploaded


@pytest.fixture(autouse=True)
def _small_blocks_and_no_ears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "BLOCK", 4096)
    monkeypatch.setattr(job_processing, "BLOCK_FRAMES", 2 * 4096)
    monkeypatch.setattr(recordings, "classifier", lambda settings: None)
    monkeypatch.setattr(job_processing, "classifier", lambda settings: None)


def test_an_upload_is_processed_and_announced_to_the_owners_socket(platform: FakePlatform) -> None:
    deps = platform.deps
    deps.connections.put(SocketConnection(key="alices", group="alice", role="listener"))
    deps.connections.put(SocketConnection(key="closed", group="alice", role="listener"))
    deps.connections.put(SocketConnection(key="bobs", group="bob", role="listener"))
    platform.sockets.gone.add("closed")
    data = sound_file(two_microphones())
    job = uploaded(deps, data)
    platform.recordings.put(arrival_event(f"uploads/{job}", len(data)))
    for queue, function in ((platform.recordings, processor), (platform.updates, sender)):
        event = sqs_event(queue.name, queue.receive(1))
        assert function(event, LocalContext("function"), deps) == {"batchItemFailures": []}
    ((connection, text),) = platform.sockets.posted
    news = json.loads(text)
    assert (connection, news["type"], news["job"], news["state"]) == ("alices", "job", job, "done")
    assert news["summary"]["attenuation_db"] > 10
    assert deps.connections.get("closed") is None


def test_the_test_event_of_s3_is_ignored(platform: FakePlatform) -> None:
    platform.recordings.put({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "anc"})
    event = sqs_event("recordings", platform.recordings.receive(1))
    assert processor(event, LocalContext("function"), platform.deps) == {"batchItemFailures": []}


def test_a_message_delivered_again_only_notifies_the_owner_again(
    platform: FakePlatform,
) -> None:
    job = uploaded(platform.deps, sound_file(two_microphones()))
    first = done(platform.deps, job)
    assert done(platform.deps, job) == first
    assert platform.messages() == [RecordingFinished(job)] * 2


def test_a_large_file_is_sent_in_parts_and_processed_when_it_is_complete(
    deps: Dependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PART_BYTES", 40_000)
    data = sound_file(two_microphones())
    upload = jobs.create(UploadRequest(len(data)), ALICE, deps)
    pieces = [data[at : at + upload.part_bytes] for at in range(0, len(data), upload.part_bytes)]
    assert len(upload.links) == len(pieces) == 5
    with pytest.raises(Refused, match="part 1 of 5 has not arrived"):
        jobs.complete(upload.job, ALICE, deps)
    parts = jobs.find(upload.job, ALICE, deps).upload
    for number, piece in enumerate(pieces, 1):
        deps.objects.put_part(f"uploads/{upload.job}", parts, number, piece)
    jobs.complete(upload.job, ALICE, deps)
    jobs.complete(upload.job, ALICE, deps)
    assert done(deps, upload.job).state == "done"


def test_an_upload_with_a_missing_part_cannot_be_completed(
    deps: Dependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PART_BYTES", 80_000)
    data = sound_file(two_microphones())
    upload = jobs.create(UploadRequest(len(data)), ALICE, deps)
    pieces = [data[at : at + upload.part_bytes] for at in range(0, len(data), upload.part_bytes)]
    parts = jobs.find(upload.job, ALICE, deps).upload
    for number in (1, 3):
        deps.objects.put_part(f"uploads/{upload.job}", parts, number, pieces[number - 1])
    with pytest.raises(Refused, match="upload: part 2 of 3 has not arrived; send it") as refusal:
        jobs.complete(upload.job, ALICE, deps)
    assert refusal.value.code == "conflict"
    deps.objects.put_part(f"uploads/{upload.job}", parts, 2, pieces[1])
    jobs.complete(upload.job, ALICE, deps)
    assert done(deps, upload.job).state == "done"


def test_an_interrupted_upload_continues_with_the_missing_parts(
    deps: Dependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PART_BYTES", 80_000)
    data = sound_file(two_microphones())
    job = jobs.create(UploadRequest(len(data)), ALICE, deps).job
    monkeypatch.setattr(jobs, "PART_BYTES", 70_000)  # of a later version
    parts = jobs.find(job, ALICE, deps).upload
    deps.objects.put_part(f"uploads/{job}", parts, 2, data[80_000:160_000])
    left = jobs.resume(job, ALICE, deps)
    assert (left.size, left.part_bytes) == (len(data), 80_000)
    assert [part.number for part in left.missing] == [1, 3]
    for part in left.missing:
        piece = data[(part.number - 1) * left.part_bytes :][: left.part_bytes]
        deps.objects.put_part(f"uploads/{job}", parts, part.number, piece)
    jobs.complete(job, ALICE, deps)
    assert jobs.resume(job, ALICE, deps).missing == []
    assert jobs.with_arrival(jobs.find(job, ALICE, deps), deps).state == "waiting"
    assert done(deps, job).state == "done"
    assert jobs.resume(job, ALICE, deps).missing == []


def test_the_state_is_waiting_from_the_arrival_of_the_file_on(deps: Dependencies) -> None:
    data = sound_file(two_microphones())
    job = jobs.create(UploadRequest(len(data)), ALICE, deps).job
    assert [part.number for part in jobs.resume(job, ALICE, deps).missing] == [1]
    assert jobs.with_arrival(jobs.find(job, ALICE, deps), deps).state == "uploading"
    deps.objects.put(f"uploads/{job}", data)
    assert jobs.resume(job, ALICE, deps).missing == []
    assert jobs.with_arrival(jobs.find(job, ALICE, deps), deps).state == "waiting"


@pytest.mark.parametrize("size", [1, jobs.PART_BYTES, jobs.PART_BYTES + 1, jobs.MAX_UPLOAD_BYTES])
def test_an_upload_has_parts_that_are_worth_repeating_and_few_links(size: int, deps: Dependencies) -> None:
    upload = jobs.create(UploadRequest(size), ALICE, deps)
    assert len(upload.links) == -(-size // upload.part_bytes) <= jobs.MAX_PARTS
    assert upload.part_bytes <= max(jobs.PART_BYTES, jobs.MAX_PART_BYTES)


def test_a_single_part_upload_can_be_completed_after_it_arrived(deps: Dependencies) -> None:
    data = sound_file(two_microphones())
    job = jobs.create(UploadRequest(len(data)), ALICE, deps).job
    with pytest.raises(Refused, match="upload: the file has not arrived; send it") as refusal:
        jobs.complete(job, ALICE, deps)
    assert refusal.value.code == "conflict"
    deps.objects.put(f"uploads/{job}", data)
    assert jobs.complete(job, ALICE, deps) == jobs.find(job, ALICE, deps)


@pytest.mark.parametrize("in_parts", [True, False])
@pytest.mark.parametrize("state", ["uploading", "waiting", "done", "failed"])
def test_completing_an_upload_is_idempotent(
    deps: Dependencies, monkeypatch: pytest.MonkeyPatch, in_parts: bool, state: str
) -> None:
    data = sound_file(two_microphones()) if state != "failed" else b"not a sound" * 1000
    if in_parts:
        monkeypatch.setattr(jobs, "PART_BYTES", len(data) - 1000)
    job = jobs.create(UploadRequest(len(data)), ALICE, deps).job
    if in_parts:
        parts, whole = jobs.find(job, ALICE, deps).upload, jobs.PART_BYTES
        for number, piece in enumerate((data[:whole], data[whole:]), 1):
            deps.objects.put_part(f"uploads/{job}", parts, number, piece)
        jobs.complete(job, ALICE, deps)
    else:
        deps.objects.put(f"uploads/{job}", data)
    if state != "uploading":
        job_processing.process(job, deps, lambda: 0.0 if state == "waiting" else LONG)
    before = jobs.find(job, ALICE, deps)
    assert before.state == state
    about = deps.objects.info(f"uploads/{job}")
    assert jobs.complete(job, ALICE, deps) == before == jobs.find(job, ALICE, deps)
    assert deps.objects.info(f"uploads/{job}") == about, "it was not put together again under the worker"


def test_concurrent_completion_of_an_upload_happens_once(
    deps: Dependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PART_BYTES", 80_000)
    data = sound_file(two_microphones())
    job = jobs.create(UploadRequest(len(data)), ALICE, deps).job
    parts = jobs.find(job, ALICE, deps).upload
    for number in (1, 2, 3):
        deps.objects.put_part(f"uploads/{job}", parts, number, data[80_000 * (number - 1) :][:80_000])
    finish = deps.objects.finish

    def overtaken(key: str, upload: str) -> None:
        monkeypatch.setattr(deps.objects, "finish", finish)
        jobs.complete(job, ALICE, deps)
        done(deps, job)
        finish(key, upload)

    monkeypatch.setattr(deps.objects, "finish", overtaken)
    assert jobs.complete(job, ALICE, deps).state == "done"


def test_recordings_of_other_users_do_not_exist(deps: Dependencies) -> None:
    job = uploaded(deps, sound_file(two_microphones()))
    done(deps, job)
    for use in (jobs.find, jobs.complete, jobs.downloads, jobs.remove):
        with pytest.raises(Refused) as unknown:
            use(job, BOB, deps)
        with pytest.raises(Refused) as absent:
            use("none", BOB, deps)
        assert unknown.value.message == absent.value.message
    assert not jobs.list_own(BOB, deps)
    assert [mine.key for mine in jobs.list_own(ALICE, deps)] == [job]


def test_there_are_no_results_before_a_job_is_done(deps: Dependencies) -> None:
    job = uploaded(deps, sound_file(two_microphones()))
    with pytest.raises(Refused, match="must be done"):
        jobs.downloads(job, ALICE, deps)


@pytest.mark.parametrize("when", ["uploading", "waiting", "done"])
def test_a_removed_recording_leaves_nothing(deps: Dependencies, when: str) -> None:
    job = uploaded(deps, sound_file(two_microphones()))
    if when != "uploading":
        job_processing.process(
            job, deps, SimpleNamespace(waiting=lambda: 0.0, done=lambda: LONG).__dict__[when]
        )
    assert jobs.find(job, ALICE, deps).state == when
    jobs.remove(job, ALICE, deps)
    assert not left(deps, job)
    assert not jobs.list_own(ALICE, deps)


def test_an_upload_to_a_removed_job_is_deleted(deps: Dependencies) -> None:
    job = uploaded(deps, sound_file(two_microphones()))
    jobs.remove(job, ALICE, deps)
    deps.objects.put(f"uploads/{job}", b"late")
    job_processing.process(job, deps, lambda: LONG)
    assert not left(deps, job)


def test_a_worker_stops_when_its_job_is_removed(deps: Dependencies, monkeypatch: pytest.MonkeyPatch) -> None:
    job = uploaded(deps, sound_file(two_microphones()))
    commit, blocks = job_processing._process_block, []

    def removed_meanwhile(mine: Job, *rest: Any) -> Job:
        blocks.append(mine.blocks)
        jobs.remove(job, ALICE, deps)
        return commit(mine, *rest)

    monkeypatch.setattr(job_processing, "_process_block", removed_meanwhile)
    job_processing.process(job, deps, lambda: LONG)
    assert blocks == [0]
    assert not jobs.list_own(ALICE, deps)


def test_a_job_expires_after_a_day_without_upload_and_thirty_days_with_it(tmp_path, clock):
    deps = make_dependencies(tmp_path, clock).deps
    never = jobs.create(UploadRequest(1), ALICE, deps).job
    job = uploaded(deps, sound_file(two_microphones()))
    done(deps, job)
    clock.now += 86_401
    assert [kept.key for kept in jobs.list_own(ALICE, deps)] == [job] != [never]
    clock.now += 29 * 86_400
    assert not jobs.list_own(ALICE, deps)
