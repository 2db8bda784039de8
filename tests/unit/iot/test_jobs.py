"""Jobs on the headset: configuration and firmware, restarts, withdrawn jobs, invalid messages."""

import json
import queue
import threading
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from anc.schemas.refusal import Refused
from anc.schemas.shadow import Configuration, FirmwareState
from iot.firmware import Updater
from iot.jobs import NO_JOB, Job, JobClient, JobRunner
from tests.processes import PATIENCE_S
from tests.unit.iot.headset import NOWHERE, FakeTransport, Headset

JOBS = "$aws/things/h1/jobs/"
IMAGE = b"firmware" * 100


class Site:
    """A job client with runner on a fake transport, whose other end is the test."""

    def __init__(self, folder: Path, running: str = "1.4.0") -> None:
        self.transport = FakeTransport("h1", NOWHERE, lambda: None)
        self.transport.online.set()
        self.jobs: list[Job] = []
        self.refused: list[str] = []
        self.configured: list[Configuration] = []
        self.states: queue.Queue[FirmwareState] = queue.Queue()
        self.client = JobClient("h1", self.transport, self.jobs.append, self._refuse)
        self.updater = Updater(folder, running, self.states.put)
        self.runner = JobRunner(self.client, self.updater, running, self.configured.append)

    def _refuse(self, refusal: Refused) -> None:
        self.refused.append(refusal.message)

    def wait_firmware(self) -> None:
        """Process the end of a download, as the agent's thread does."""
        self.runner.on_firmware(self.states.get(timeout=PATIENCE_S))

    def deliver(self, topic: str, document: Any) -> None:
        self.transport._handlers[JOBS + topic](json.dumps(document).encode())

    def start(self, id: str, **document: Any) -> None:
        """Deliver the job in progress and execute it."""
        self.deliver("start-next/accepted", {"execution": {"jobId": id, "jobDocument": document}})
        self.runner.take(self.jobs[-1])

    def sent(self) -> list[tuple[str, Any]]:
        """Return what was published since the last call."""
        found = []
        while not self.transport.sent.empty():
            topic, payload = self.transport.sent.get()
            found.append((topic.removeprefix(JOBS), json.loads(payload)))
        return found


def update(status: str, **details: str) -> dict[str, Any]:
    return {"status": status, "statusDetails": details}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "headset")


@pytest.fixture
def firmware(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Serve an image and return the document of the firmware."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "image").write_bytes(IMAGE)
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(served)))
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/image"
    yield {"version": "1.5.0", "url": url, "sha256": sha256(IMAGE).hexdigest(), "size": len(IMAGE)}
    server.shutdown()
    server.server_close()


def test_a_configuration_is_applied_and_reported(site: Site) -> None:
    site.start("job-1", config={"snapshot_interval_s": 60.0})

    assert site.configured == [Configuration(snapshot_interval_s=60.0)]
    assert site.sent() == [("job-1/update", {"status": "SUCCEEDED"})]


def test_a_new_job_is_fetched_and_one_in_progress_is_not_fetched_again(site: Site) -> None:
    site.deliver("notify-next", {"execution": {"jobId": "job-1", "status": "QUEUED"}})
    assert site.sent() == [("start-next", {})]
    site.start("job-1", firmware={"version": "1.5.0", "url": "https://x", "sha256": "ab" * 32, "size": 1})
    site.sent()
    site.deliver("notify-next", {"execution": {"jobId": "job-1", "status": "IN_PROGRESS"}})
    assert site.sent() == []


def test_firmware_is_downloaded_and_the_job_succeeds_when_it_runs(
    site: Site, firmware: dict[str, Any], tmp_path: Path
) -> None:
    site.start("job-1", firmware=firmware)
    site.wait_firmware()
    downloading, verified = site.sent()
    assert downloading == (
        "job-1/update",
        {"status": "IN_PROGRESS", "statusDetails": {"state": "downloading"}},
    )
    assert verified == ("job-1/update", {"status": "IN_PROGRESS", "statusDetails": {"state": "verified"}})
    assert (tmp_path / "headset" / "firmware.bin").read_bytes() == IMAGE

    restarted = Site(tmp_path / "headset", running="1.5.0")
    restarted.start("job-1", firmware=firmware)
    assert restarted.sent() == [
        ("job-1/update", {"status": "SUCCEEDED", "statusDetails": {"firmware": "1.5.0"}})
    ]


def test_firmware_that_cannot_be_verified_fails_with_the_reason(site: Site, firmware: dict[str, Any]) -> None:
    site.start("job-1", firmware=firmware | {"sha256": "0" * 64})
    site.wait_firmware()
    _, (_, failed) = site.sent()

    reason = "sha256: does not match the download"
    assert failed == {"status": "FAILED", "statusDetails": {"reason": reason}}


def test_firmware_older_than_the_running_one_fails(site: Site, firmware: dict[str, Any]) -> None:
    site.start("job-1", firmware=firmware | {"version": "1.3.9"})

    ((_, failed),) = site.sent()
    assert failed["status"] == "FAILED"
    assert "newer than the running version 1.4.0" in failed["statusDetails"]["reason"]


def test_a_withdrawn_job_deletes_the_image_that_was_not_installed(
    site: Site, firmware: dict[str, Any], tmp_path: Path
) -> None:
    site.start("job-1", firmware=firmware)
    site.wait_firmware()
    site.deliver("notify-next", {})
    assert site.jobs[-1] == NO_JOB
    site.runner.take(NO_JOB)

    assert not (tmp_path / "headset" / "firmware.bin").exists()
    site.start("job-2", firmware=firmware)
    site.wait_firmware()  # it can be installed by a later job
    assert (tmp_path / "headset" / "firmware.bin").exists()


def test_the_end_of_a_job_does_not_delete_its_image(site: Site, firmware: dict[str, Any]) -> None:
    site.start("job-1", config={"private": True})
    site.deliver("notify-next", {})
    site.runner.take(site.jobs[-1])

    assert len(site.sent()) == 1


def test_a_headset_without_a_version_rejects_firmware(tmp_path: Path, firmware: dict[str, Any]) -> None:
    site = Site(tmp_path / "unversioned", running="")
    site.start("job-1", firmware=firmware)

    ((_, rejected),) = site.sent()
    assert rejected["status"] == "REJECTED"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "job: must have either firmware or config"),
        ({"config": {"snapshot_interval_s": 1}}, "config.snapshot_interval_s: must be at least 5"),
        ({"firmware": {"version": "new"}}, "firmware"),
        ({"reboot": True}, "job: must have either firmware or config"),
    ],
)
def test_a_document_that_cannot_be_used_is_rejected_with_the_reason(
    site: Site, document: Any, reason: str
) -> None:
    site.deliver("start-next/accepted", {"execution": {"jobId": "job-1", "jobDocument": document}})

    ((topic, rejected),) = site.sent()
    assert (topic, rejected["status"]) == ("job-1/update", "REJECTED")
    assert reason in rejected["statusDetails"]["reason"]
    assert site.jobs == []
    assert reason in site.refused[0]


@pytest.mark.parametrize("topic", ["notify-next", "start-next/accepted"])
@pytest.mark.parametrize("payload", [b"{", b"[]", b'{"execution": 1}', b" " * 20_000])
def test_an_invalid_message_is_refused_and_changes_nothing(site: Site, topic: str, payload: bytes) -> None:
    site.transport._handlers[JOBS + topic](payload)

    assert (site.jobs, site.sent(), len(site.refused)) == ([], [], 1)


def test_the_agent_fetches_jobs_after_connecting_and_reports_the_configuration(tmp_path: Path) -> None:
    headset = Headset(tmp_path)
    headset.transport.connect()
    topics = [topic for topic, _ in headset.transport.sent.queue]
    execution = {"jobId": "job-1", "jobDocument": {"config": {"telemetry_interval_s": 600.0}}}
    deliver = headset.transport._handlers[f"{JOBS}start-next/accepted"]
    deliver(json.dumps({"execution": execution}).encode())
    while True:
        reported = headset.transport.wait_report()
        if reported["config"].get("telemetry_interval_s") == 600.0:
            break
    headset.agent.stop()

    assert f"{JOBS}start-next" in topics
    assert reported["config"]["telemetry_interval_s"] == 600.0
    restarted = Headset(tmp_path)
    restarted.transport.connect()
    restarted.transport.wait_report(config=reported["config"])
    restarted.agent.stop()
