"""Jobs for long recordings: committed blocks are never repeated, and a crash changes no byte."""

import io
import itertools
import json
import wave
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anc.ports import Dependencies
from anc.records import Job, Options
from anc.schemas.messages import RecordingFinished, RecordingWaiting, encode
from anc.services.sound import job_processing, jobs, recordings, report_plot
from tests.fakes import ALICE, FakePlatform, make_dependencies
from tests.recordings import LONG, RATE, done, left, result, sound_file, two_microphones, uploaded

RESULTS = ("cleaned.wav", "before.wav", "report.json", "report.png", "overview.json")


class Killed(BaseException):
    """Simulated crash without cleanup."""


@pytest.fixture(autouse=True)
def _small_blocks_and_no_ears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "BLOCK", 4096)
    monkeypatch.setattr(job_processing, "BLOCK_FRAMES", 2 * 4096)
    monkeypatch.setattr(recordings, "classifier", lambda settings: None)
    monkeypatch.setattr(job_processing, "classifier", lambda settings: None)


def test_the_result_equals_filtering_the_whole_recording_at_once(deps: Dependencies) -> None:
    data = sound_file(two_microphones())
    job = uploaded(deps, data)
    assert done(deps, job).state == "done"
    whole, report = recordings.process_short(data, Options(), deps)
    assert result(deps, job) == whole
    assert json.loads(result(deps, job, "report.json")) == json.loads(json.dumps(report.document()))
    assert jobs.find(job, ALICE, deps).summary["attenuation_db"] == report.attenuation_db > 10


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("format", "rate"),
    [("WAV", RATE), ("FLAC", RATE), ("OGG", RATE), ("MP3", 44_100), ("AIFF", RATE), ("CAF", RATE)],
)
@pytest.mark.parametrize("algorithm", ["fdaf", "nlms"])
def test_a_job_that_is_killed_after_every_block_makes_the_same_result(
    deps: Dependencies, format: str, rate: int, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(format, "PCM_16")
    samples = two_microphones()
    data = sound_file(samples, format, subtype, rate)
    at_once = uploaded(deps, data, algorithm=algorithm)
    done(deps, at_once)
    job = uploaded(deps, data, algorithm=algorithm)
    treated: list[int] = []
    process = recordings.RecordingProcessor.process

    def counting(processor: recordings.RecordingProcessor, block: np.ndarray) -> np.ndarray:
        treated.append(processor.frames)
        return process(processor, block)

    def dying(job: Job, *rest: Any, put: Callable[..., Job]) -> Job:
        stored = put(job, *rest)
        raise Killed(stored.blocks)

    monkeypatch.setattr(recordings.RecordingProcessor, "process", counting)
    commit = job_processing._process_block
    monkeypatch.setattr(job_processing, "_process_block", partial(dying, put=commit))
    kills = 0
    while jobs.find(job, ALICE, deps).progress < 1:
        with pytest.raises(Killed):
            job_processing.process(job, deps, lambda: LONG)
        kills += 1
    monkeypatch.setattr(job_processing, "_process_block", commit)
    assert done(deps, job).state == "done"
    assert kills == -(-len(samples) // (2 * 4096))
    assert len(treated) == len(set(treated)), "no block was treated twice"
    for name in RESULTS:
        assert result(deps, job, name) == result(deps, at_once, name), name


def test_a_resumed_low_rate_mp3_has_the_same_result(deps: Dependencies) -> None:
    data = sound_file(two_microphones(), "MP3", "MPEG_LAYER_III")
    at_once, job = uploaded(deps, data), uploaded(deps, data)
    done(deps, at_once)
    while jobs.find(job, ALICE, deps).state != "done":
        job_processing.process(job, deps, lambda: 0.0)
    assert result(deps, at_once) == result(deps, job)


@pytest.mark.thorough
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    ("port", "write"),
    [
        ("objects", "begin"),
        ("objects", "put_part"),
        ("objects", "put"),
        ("objects", "finish"),
        ("objects", "delete"),
        ("jobs", "put"),
        ("updates", "send"),
    ],
)
def test_a_job_that_is_killed_around_any_write_makes_the_same_result_and_leaves_nothing_else(
    deps: Dependencies, port: str, write: str, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_plot, "plot_report", lambda report: b"plot")  # takes half of the time
    data = sound_file(two_microphones(1.3))
    at_once = uploaded(deps, data)
    done(deps, at_once)
    adapter = getattr(deps, port)
    real = getattr(adapter, write)
    for kills in itertools.count():
        job = uploaded(deps, data)
        calls = itertools.count()

        def dying(*args: Any, calls: Any = calls, nth: int = kills) -> Any:
            now = next(calls) == nth
            if now and before:
                raise Killed
            answer = real(*args)
            if now:
                raise Killed
            return answer

        monkeypatch.setattr(adapter, write, dying)
        try:
            job_processing.process(job, deps, lambda: LONG)
            break
        except Killed:
            monkeypatch.setattr(adapter, write, real)
        assert done(deps, job).state == "done"
        assert result(deps, job) == result(deps, at_once)
        assert [key for key in left(deps, job) if not key.startswith(".parts")] == [
            f"results/{job}/{name}" for name in sorted(RESULTS)
        ]
    assert kills >= 1


def test_a_worker_queues_the_job_again_before_its_time_is_over(platform: FakePlatform) -> None:
    deps = platform.deps
    data = sound_file(two_microphones())
    at_once = uploaded(deps, data)
    done(deps, at_once)
    job = uploaded(deps, data)
    progress = []
    job_processing.process(job, deps, lambda: 0.0)
    while messages := platform.recordings.receive(10):
        assert [message.body for message in messages] == [encode(RecordingWaiting(job, ALICE.user))]
        now = jobs.find(job, ALICE, deps)
        assert now.state == "waiting"
        progress.append(now.progress)
        job_processing.process(job, deps, lambda: 0.0)
        platform.recordings.done(messages[0])
    assert len(progress) == 5
    assert progress == sorted(set(progress))
    assert jobs.find(job, ALICE, deps).state == "done"
    assert result(deps, job) == result(deps, at_once)


def test_only_one_of_two_workers_on_a_job_continues(
    deps: Dependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sound_file(two_microphones())
    at_once = uploaded(deps, data)
    done(deps, at_once)
    job = uploaded(deps, data)
    commit = job_processing._process_block
    others = 0

    def overtaken(mine: Job, *rest: Any) -> Job:
        nonlocal others
        if not others:
            others = 1
            job_processing.process(job, deps, lambda: LONG)  # the message is delivered to a second worker
        return commit(mine, *rest)

    monkeypatch.setattr(job_processing, "_process_block", overtaken)
    job_processing.process(job, deps, lambda: LONG)
    assert jobs.find(job, ALICE, deps).state == "done"
    assert result(deps, job) == result(deps, at_once)


def test_a_file_that_crashes_every_worker_fails_after_three_attempts(
    deps: Dependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = uploaded(deps, sound_file(two_microphones()))

    def dying(*_: Any) -> Job:
        raise Killed

    monkeypatch.setattr(job_processing, "_process_block", dying)
    for _ in range(job_processing.ATTEMPTS):
        with pytest.raises(Killed):
            job_processing.process(job, deps, lambda: LONG)
    assert done(deps, job).state == "failed"
    assert "3 attempts failed" in jobs.find(job, ALICE, deps).failure
    assert not left(deps, job)


def test_an_upload_replaced_during_processing_fails_the_job(deps: Dependencies) -> None:
    data = sound_file(two_microphones())
    job = uploaded(deps, data)
    job_processing.process(job, deps, lambda: 0.0)
    deps.objects.put(f"uploads/{job}", bytes(len(data)))
    failed = done(deps, job)
    assert (failed.state, failed.failure) == ("failed", "file: was replaced while it was being processed")
    assert not left(deps, job)


def bomb() -> bytes:
    """Return a file of a few bytes whose header claims 400 hours."""
    data = bytearray(sound_file(np.zeros((RATE, 2)), "FLAC"))
    frames = 400 * 3600 * RATE
    data[21] = (data[21] & 0xF0) | (frames >> 32)
    data[22:26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(data)


def lying_flac() -> bytes:
    """Return a truncated FLAC file."""
    whole = sound_file(two_microphones(), "FLAC")
    return whole[: len(whole) // 2]


HOSTILE = {
    "text": (b"hello, this is no sound file at all", "not a sound file"),
    "a zip archive": (b"PK\x03\x04" + bytes(100), "a zip archive; unpack it"),
    "a header alone": (sound_file(np.zeros((0, 2))), "contains no samples"),
    "200 channels": (sound_file(np.zeros((100, 200))), "must have at most 8 channels (got 200)"),
    "a rate of 1 Hz": (sound_file(np.zeros((100, 2)), rate=1), "the sample rate must be 8,000 to 192,000 Hz"),
    "a rate of 3 MHz": (
        sound_file(np.zeros((100, 2)), rate=3_000_000),
        "the sample rate must be 8,000 to 192,000 Hz",
    ),
    "no numbers": (sound_file(np.full((100, 2), np.nan), subtype="FLOAT"), "must be finite"),
    "endlessly loud": (sound_file(np.full((100, 2), 1e30), subtype="FLOAT"), "must be within -1 to 1"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_invalid_file_fails_with_a_reason_and_is_deleted(platform: FakePlatform, kind: str) -> None:
    data, says = HOSTILE[kind]
    job = uploaded(platform.deps, data)
    failed = done(platform.deps, job)
    assert failed.state == "failed"
    assert says in failed.failure
    assert not left(platform.deps, job)
    assert platform.messages()[0] == RecordingFinished(job)


def test_a_file_that_breaks_off_is_done_and_the_report_says_so(deps: Dependencies) -> None:
    for data, note in ((lying_flac(), "only "), (bomb(), "of 1,440,000 s could be decoded")):
        job = uploaded(deps, data)
        summary = done(deps, job).summary
        report = json.loads(result(deps, job, "report.json"))
        assert summary["truncated"] is report["truncated"] is True
        assert note in report["note"] == summary["note"]
        with wave.open(io.BytesIO(result(deps, job))) as cleaned:
            assert cleaned.getnframes() == round(report["seconds"] * report["rate"]) > 0


def test_a_wav_header_with_a_wrong_size_is_read_to_the_end_of_the_file(deps: Dependencies) -> None:
    data = bytearray(sound_file(two_microphones(1.0)))
    data[40:44] = (2**31 - 4).to_bytes(4, "little")
    assert done(deps, uploaded(deps, bytes(data))).summary["seconds"] == 1.0


def test_a_file_of_another_size_than_announced_is_not_processed(deps: Dependencies) -> None:
    job = uploaded(deps, sound_file(two_microphones()))
    deps.objects.put(f"uploads/{job}", sound_file(two_microphones(1.0)))
    assert "must have the announced" in done(deps, job).failure


def test_classification_has_no_result_but_the_sound_it_classified(deps: Dependencies) -> None:
    samples = two_microphones()[:, :1]
    job = uploaded(deps, sound_file(samples))
    assert done(deps, job).state == "done"
    assert set(jobs.downloads(job, ALICE, deps)) == set(RESULTS) - {"cleaned.wav"}
    assert json.loads(result(deps, job, "report.json"))["mode"] == "classify"
    assert json.loads(result(deps, job, "overview.json"))["after"] is None
    assert result(deps, job, "before.wav") == sound_file(samples)


def test_the_sound_before_filtering_is_the_channel_at_the_ear_and_counts_for_the_quota(
    deps: Dependencies,
) -> None:
    samples = two_microphones()
    job = uploaded(deps, sound_file(samples, "FLAC"))
    assert set(jobs.downloads(done(deps, job).key, ALICE, deps)) == set(RESULTS)
    assert result(deps, job, "before.wav") == sound_file(samples[:, 1])
    stored = len(result(deps, job, "before.wav")) + len(result(deps, job)) - 2 * 44
    assert jobs.bytes_of(jobs.find(job, ALICE, deps)) == stored


def test_a_job_that_an_earlier_version_began_has_neither_sound_before_nor_overview(
    deps: Dependencies, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = uploaded(deps, sound_file(two_microphones()))
    with monkeypatch.context() as earlier:
        begin = deps.objects.begin
        earlier.setattr(deps.objects, "begin", lambda key: "" if key.endswith("before.wav") else begin(key))
        earlier.setattr(recordings.Overview, "state", lambda self: b"")
        job_processing.process(job, deps, lambda: 0.0)
    assert done(deps, job).state == "done"
    assert set(jobs.downloads(job, ALICE, deps)) == {"cleaned.wav", "report.json", "report.png"}
    assert [key for key in left(deps, job) if "overview" in key] == []


def test_the_report_is_plotted(deps: Dependencies) -> None:
    job = uploaded(deps, sound_file(two_microphones()))
    done(deps, job)
    spectrogram = Image.open(io.BytesIO(result(deps, job, "report.png")))
    assert (spectrogram.format, spectrogram.size) == ("PNG", (1200, 900))


def test_a_job_continues_after_a_restart(tmp_path, clock) -> None:
    deps = make_dependencies(tmp_path, clock).deps
    data = sound_file(two_microphones())
    job = uploaded(deps, data)
    job_processing.process(job, deps, lambda: 0.0)
    restarted = make_dependencies(tmp_path, clock).deps
    assert jobs.find(job, ALICE, restarted).progress == pytest.approx(2 * 4096 / (3 * RATE))
    assert done(restarted, job).state == "done"
    assert result(restarted, job) == recordings.process_short(data, Options(), restarted)[0]
