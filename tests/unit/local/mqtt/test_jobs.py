"""The jobs of headsets on one machine, as documented by AWS IoT."""

import json
from pathlib import Path
from typing import Any

import pytest

from anc.schemas.job import PAYLOAD_LIMIT, JobDocument
from anc.schemas.shadow import Configuration
from local.mqtt.jobs import LocalJobs, jobs_prefix
from local.storage.database import Database
from tests.fakes import Clock

CONFIG = JobDocument(config=Configuration(snapshot_interval_s=60.0))


class Service:
    """Jobs, and the messages that they publish for `h1`."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.jobs = LocalJobs(Database(folder / "anc.db"), self._publish, self.clock)

    def _publish(self, topic: str, payload: bytes) -> None:
        assert topic.startswith(jobs_prefix("h1"))
        self.published.append((topic.removeprefix(jobs_prefix("h1")), json.loads(payload)))

    def send(self, operation: str, document: Any = None) -> list[tuple[str, dict[str, Any]]]:
        """Send a request of the headset; return the published messages."""
        payload = document if isinstance(document, bytes) else json.dumps(document or {}).encode()
        before = len(self.published)
        self.jobs.request("h1", operation, payload)
        return self.published[before:]


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_a_started_job_is_announced_without_its_document(service: Service) -> None:
    service.jobs.start("job-1", ["h1"], CONFIG)
    service.jobs.start("job-1", ["h1"], CONFIG)

    [(topic, message)] = service.published
    assert topic == "notify-next"
    assert (message["execution"]["jobId"], message["execution"]["status"]) == ("job-1", "QUEUED")
    assert "jobDocument" not in message["execution"]


def test_the_next_job_is_started_with_its_document_and_echoes_the_token(service: Service) -> None:
    service.jobs.start("job-1", ["h1"], CONFIG)
    [(topic, answer)] = service.send("start-next", {"clientToken": "abc"})

    assert (topic, answer["clientToken"]) == ("start-next/accepted", "abc")
    assert answer["execution"]["jobDocument"] == {"config": {"snapshot_interval_s": 60.0}}
    assert answer["execution"]["status"] == "IN_PROGRESS"
    assert answer["execution"]["startedAt"] == int(service.clock.now)


def test_without_a_job_the_answer_has_no_execution(service: Service) -> None:
    [(topic, answer)] = service.send("start-next")

    assert topic == "start-next/accepted"
    assert "execution" not in answer


def test_a_finished_job_is_followed_by_the_announcement_of_the_next(service: Service) -> None:
    for job in ("job-1", "job-2"):
        service.jobs.start(job, ["h1"], CONFIG)
        service.clock.now += 1
    service.send("start-next")
    accepted, following = service.send("job-1/update", {"status": "SUCCEEDED"})
    service.send("start-next")
    _, last = service.send("job-2/update", {"status": "FAILED", "statusDetails": {"reason": "no space"}})

    assert accepted[0] == "job-1/update/accepted"
    assert (following[0], following[1]["execution"]["jobId"]) == ("notify-next", "job-2")
    assert last[0] == "notify-next"
    assert "execution" not in last[1]


def test_a_cancelled_job_is_announced_and_cannot_be_updated(service: Service) -> None:
    service.jobs.start("job-1", ["h1"], CONFIG)
    service.send("start-next")
    service.jobs.cancel("job-1")
    assert service.published[-1][0] == "notify-next"
    [(topic, answer)] = service.send("job-1/update", {"status": "SUCCEEDED"})

    assert (topic, answer["code"]) == ("job-1/update/rejected", "InvalidStateTransition")
    assert [each.status for each in service.jobs.executions("job-1")] == ["cancelled"]


@pytest.mark.parametrize(
    ("operation", "payload", "code", "message"),
    [
        ("other/update", {"status": "FAILED"}, "ResourceNotFound", "job: other is not a job of this headset"),
        ("job-1/update", {"status": "DONE"}, "InvalidRequest", "status: must be one of"),
        ("job-1/update", {}, "InvalidRequest", "status: is required"),
        ("job-1/update", b"{", "InvalidRequest", "not a JSON document"),
        ("job-1/update", b" " * (PAYLOAD_LIMIT + 1), "InvalidRequest", "at most 8,192 bytes (got 8,193)"),
        ("job-1/update", {"status": "FAILED", "statusDetails": {"a": "b" * 201}}, "InvalidRequest", "200"),
        ("start-next", {"clientToken": "t" * 65}, "InvalidRequest", "64"),
    ],
)
def test_an_invalid_request_is_rejected_with_the_reason(
    service: Service, operation: str, payload: Any, code: str, message: str
) -> None:
    service.jobs.start("job-1", ["h1"], CONFIG)
    [(topic, answer)] = service.send(operation, payload)

    assert (topic, answer["code"]) == (f"{operation}/rejected", code)
    assert message in answer["message"]
    assert [each.status for each in service.jobs.executions("job-1")] == ["queued"]


def test_the_jobs_of_a_removed_headset_end(service: Service) -> None:
    service.jobs.start("job-1", ["h1"], CONFIG)
    service.jobs.remove("h1")

    assert [each.status for each in service.jobs.executions("job-1")] == ["cancelled"]
