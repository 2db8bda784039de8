"""Contract of `anc.fleet_ports.HeadsetJobs`."""

from typing import Any

from anc.rollout_records import MAX_BATCH, JobExecution
from anc.schemas.job import JobDocument
from anc.schemas.shadow import Configuration, Firmware

JOB = "01796032800000-0a1b2c3d-00000"
LATER = "01796032800000-0a1b2c3d-00001"
THINGS = ["h1", "h2", "h3"]
CONFIG = JobDocument(config=Configuration(snapshot_interval_s=60.0))
FIRMWARE = JobDocument(firmware=Firmware("1.5.0", "https://x.example/1.5.0.bin", "ab" * 32, 1024))


def statuses(headset_jobs: Any, job: str = JOB) -> dict[str, str]:
    return {each.thing: each.status for each in headset_jobs.port.executions(job)}


def test_a_started_job_is_queued_for_its_headsets_only(headset_jobs: Any, clock: Any) -> None:
    headset_jobs.register(*THINGS)
    headset_jobs.port.start(JOB, THINGS[:2], CONFIG)

    expected = [JobExecution(thing, "queued", clock.now) for thing in THINGS[:2]]
    found = headset_jobs.port.executions(JOB)
    assert [each._replace(at=clock.now) for each in found] == expected
    assert all(abs(each.at - clock.now) < 1 for each in found)
    assert headset_jobs.start_next("h3") == (None, None)


def test_a_headset_gets_the_document_that_was_given(headset_jobs: Any) -> None:
    headset_jobs.register("h1")
    headset_jobs.port.start(JOB, ["h1"], FIRMWARE)

    job, document = headset_jobs.start_next("h1")
    assert document == {
        "firmware": {
            "version": "1.5.0",
            "url": "https://x.example/1.5.0.bin",
            "sha256": "ab" * 32,
            "size": 1024,
        }
    }
    assert job.endswith(JOB)
    assert statuses(headset_jobs) == {"h1": "in_progress"}


def test_starting_a_job_again_changes_nothing(headset_jobs: Any) -> None:
    headset_jobs.register(*THINGS)
    headset_jobs.port.start(JOB, ["h1"], CONFIG)
    headset_jobs.finish("h1", "SUCCEEDED")
    headset_jobs.port.start(JOB, ["h1", "h2"], FIRMWARE)

    assert statuses(headset_jobs) == {"h1": "succeeded"}


def test_every_result_that_a_headset_reports_is_read(headset_jobs: Any, clock: Any) -> None:
    headset_jobs.register(*THINGS)
    headset_jobs.port.start(JOB, THINGS, CONFIG)
    clock.now += 30.0
    for thing, status in zip(THINGS, ("SUCCEEDED", "FAILED", "REJECTED"), strict=True):
        headset_jobs.finish(thing, status)

    found = headset_jobs.port.executions(JOB)
    assert [each.status for each in found] == ["succeeded", "failed", "rejected"]
    assert all(abs(each.at - clock.now) < 1 for each in found)


def test_cancelling_ends_the_job_where_it_is_not_finished(headset_jobs: Any) -> None:
    headset_jobs.register(*THINGS)
    headset_jobs.port.start(JOB, THINGS, CONFIG)
    headset_jobs.finish("h1", "SUCCEEDED")
    headset_jobs.start_next("h2")
    headset_jobs.port.cancel(JOB)
    headset_jobs.port.cancel(JOB)

    assert statuses(headset_jobs) == {"h1": "succeeded", "h2": "cancelled", "h3": "cancelled"}
    assert headset_jobs.start_next("h2") == (None, None)


def test_jobs_of_a_headset_follow_each_other(headset_jobs: Any, clock: Any) -> None:
    headset_jobs.register("h1")
    headset_jobs.port.start(JOB, ["h1"], CONFIG)
    clock.now += 1.0
    headset_jobs.port.start(LATER, ["h1"], FIRMWARE)

    first, _ = headset_jobs.start_next("h1")
    again, _ = headset_jobs.start_next("h1")
    headset_jobs.finish("h1", "FAILED")
    second, document = headset_jobs.start_next("h1")
    assert first == again
    assert first.endswith(JOB)
    assert second.endswith(LATER)
    assert list(document) == ["firmware"]


def test_an_unknown_job_has_no_executions_and_can_be_cancelled(headset_jobs: Any) -> None:
    headset_jobs.port.cancel(JOB)

    assert list(headset_jobs.port.executions(JOB)) == []


def test_the_largest_batch_is_started_and_read_as_a_whole(headset_jobs: Any) -> None:
    things = [f"headset-{number:03}" for number in range(MAX_BATCH)]
    headset_jobs.register(*things)
    headset_jobs.port.start(JOB, things, CONFIG)

    assert statuses(headset_jobs) == dict.fromkeys(things, "queued")
