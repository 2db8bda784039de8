"""Jobs of the headset: fetch the next one, execute it, report the result.

A job installs firmware or changes the configuration. It is in progress until the headset reports its end, and
arrives again after a restart or a lost report. A headset that does not use these topics gets no jobs.
"""

import unicodedata
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from anc.schemas.job import (
    MAX_DETAIL_CHARS,
    PAYLOAD_LIMIT,
    ExecutionUpdate,
    JobDocument,
    JobRequest,
    NextJob,
    ReportedStatus,
    StartNextResponse,
)
from anc.schemas.refusal import Refused, parse_json, refuse
from anc.schemas.shadow import Configuration, FirmwareState
from anc.schemas.topics import jobs_topic
from iot.firmware import Updater
from iot.transport import Transport

T = TypeVar("T")
MESSAGE_LIMIT = 2 * PAYLOAD_LIMIT  # a document, and what AWS IoT adds


class Job(NamedTuple):
    """The job in progress: its name and document; the name is "" when there is none."""

    id: str
    document: JobDocument


NO_JOB = Job("", JobDocument())


class JobClient:
    """Fetch jobs and report their status.

    Parameters
    ----------
    thing : str
    transport : Transport
    on_job : callable
        `on_job(job)` receives the job in progress after each connect and each change; `NO_JOB` for none.
        Called in a thread of the transport.
    on_refused : callable
        `on_refused(refusal)` receives the reason why a message was invalid; the message is ignored.
    """

    def __init__(
        self,
        thing: str,
        transport: Transport,
        on_job: Callable[[Job], None],
        on_refused: Callable[[Refused], None],
    ) -> None:
        self._thing = thing
        self._transport = transport
        self._on_job = on_job
        self._on_refused = on_refused
        self._current = ""
        transport.subscribe(jobs_topic(thing, "notify-next"), self._on_next)
        transport.subscribe(jobs_topic(thing, "start-next/accepted"), self._on_started)

    def request(self) -> None:
        """Request the next job. Call it after each connect, since notifications may have been missed."""
        topic = jobs_topic(self._thing, "start-next")
        self._transport.publish(topic, msgspec.json.encode(JobRequest()))

    def report(self, job: str, status: ReportedStatus, **details: str) -> None:
        """Report the status of a job. A report that is lost is made again after the next connect."""
        shown = {name: _printable(text) for name, text in details.items() if text}
        update = ExecutionUpdate(status, shown)
        self._transport.publish(jobs_topic(self._thing, f"{job}/update"), msgspec.json.encode(update))

    def _on_next(self, payload: bytes) -> None:
        following = self._parsed(payload, NextJob)
        if following is None:
            return
        if following.execution is None:
            self._current = ""
            self._on_job(NO_JOB)
        elif following.execution.job_id != self._current:
            self.request()

    def _on_started(self, payload: bytes) -> None:
        started = self._parsed(payload, StartNextResponse)
        if started is None:
            return
        if started.execution is None:
            self._current = ""
            self._on_job(NO_JOB)
            return
        self._current = started.execution.job_id
        try:
            document = parse_json(bytes(started.execution.job_document), JobDocument)
            if (document.firmware is None) == (document.config is None):
                refuse("bad_field", "job: must have either firmware or config")
        except Refused as refusal:
            self.report(self._current, "REJECTED", reason=refusal.message)
            self._on_refused(refusal)
            return
        self._on_job(Job(self._current, document))

    def _parsed(self, payload: bytes, kind: type[T]) -> T | None:
        try:
            if len(payload) > MESSAGE_LIMIT:
                refuse("too_large", f"job: must have at most {MESSAGE_LIMIT:,} bytes (got {len(payload):,})")
            parsed: T = parse_json(payload, kind)
        except Refused as refusal:
            self._on_refused(refusal)
            return None
        return parsed


class JobRunner:
    """Execute the job in progress, in the agent's thread.

    Parameters
    ----------
    client : JobClient
    updater : Updater
    running : str
        Version of the running firmware, "" if unknown.
    configure : callable
        `configure(change)` applies a change of the configuration.
    """

    def __init__(
        self,
        client: JobClient,
        updater: Updater,
        running: str,
        configure: Callable[[Configuration], None],
    ) -> None:
        self._client = client
        self._updater = updater
        self._running = running
        self._configure = configure
        self._job = NO_JOB

    def take(self, job: Job) -> FirmwareState | None:
        """Execute a job; return the state of a firmware update, which also the shadow reports."""
        previous, self._job = self._job, job
        withdrawn = previous.document.firmware
        if withdrawn and previous.id != job.id:
            self._updater.withdraw(withdrawn)
        if config := job.document.config:
            self._configure(config)
            self._finish("SUCCEEDED")
        elif firmware := job.document.firmware:
            if firmware.version == self._running:
                self._finish("SUCCEEDED", firmware=self._running)
            elif not self._running:
                self._finish("REJECTED", reason="this headset knows no version of its firmware")
            else:
                return self._install()
        return None

    def on_firmware(self, state: FirmwareState) -> FirmwareState:
        """Report the progress of the download; return the state for the shadow."""
        wanted = self._job.document.firmware
        if wanted is None:
            return state
        if state.version != wanted.version:
            return self._install() or state  # another download was in the way
        if state.state == "refused":
            self._finish("FAILED", reason=state.reason)
        else:  # the job succeeds when the new version runs
            self._client.report(self._job.id, "IN_PROGRESS", state=state.state)
        return state

    def _install(self) -> FirmwareState | None:
        assert self._job.document.firmware
        state = self._updater.request(self._job.document.firmware, retry=True)
        return self.on_firmware(state) if state else None

    def _finish(self, status: ReportedStatus, **details: str) -> None:
        job, self._job = self._job, NO_JOB
        self._client.report(job.id, status, **details)


def _printable(text: str) -> str:
    """Return a text without control characters, which AWS IoT refuses, and not too long."""
    return "".join(each for each in text if unicodedata.category(each)[0] != "C")[:MAX_DETAIL_CHARS]
