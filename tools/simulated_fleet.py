"""Let simulated headsets take jobs and report, to try rollouts on a running platform.

The headsets of `tools.fleet_population` have no certificates and no connections, so a thread in the process
of the platform acts for them: each reports once a minute, and installs the updates of its jobs.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any, Protocol

import msgspec

from anc.fleet_records import FleetQuery, HeadsetSummary
from anc.ports import Dependencies
from anc.schemas.job import ExecutionUpdate, JobDocument, ReportedStatus
from anc.schemas.refusal import Refused
from anc.schemas.telemetry import TelemetryReport
from anc.services.headsets import telemetry
from tools.fleet_population import FIRMWARE, MODELS

SIMULATED = re.compile(rf"(?:{'|'.join(map(re.escape, MODELS))})-\d{{6}}")
WORSE, FAILING = ".98", ".99"  # at the end of a firmware version
WORSE_DB = -6.0
ROUND_S = 60.0  # each headset reports once
SLICES = 60  # of a round
MAX_JOBS = 200  # in a slice
PAGE = 100
PREFIX = "$aws/things/"


class Jobs(Protocol):
    """What `local.mqtt.jobs.LocalJobs` offers to headsets."""

    publish: Callable[[str, bytes], None]

    def request(self, thing: str, operation: str, payload: bytes) -> bool:
        """Handle a request of a headset, and publish the response."""
        ...


class SimulatedFleet:
    """Simulated headsets of a platform.

    Parameters
    ----------
    deps : Dependencies
        Of the platform.
    jobs : Jobs
        Its `publish` is observed from now on.
    seed : int

    Attributes
    ----------
    things : list of str
        The simulated headsets, as registered at the beginning.
    firmware : dict of str to str
        The version that each has, "" if unknown.
    baseline_db : dict of str to float
        Attenuation of each without the effect of its firmware; those without a measurement are missing.
    """

    def __init__(self, deps: Dependencies, jobs: Jobs, seed: int = 0) -> None:
        self._deps, self._jobs = deps, jobs
        self._random = Random(seed)  # noqa: S311  no secret
        self.things: list[str] = []
        self.firmware: dict[str, str] = {}
        self.baseline_db: dict[str, float] = {}
        for headset in _simulated(deps):
            self.things.append(headset.thing)
            self.firmware[headset.thing] = version = headset.firmware or ""
            if headset.attenuation_db is not None:
                self.baseline_db[headset.thing] = headset.attenuation_db - effect_db(version)
        self._pending = dict.fromkeys(self.things)  # jobs may have waited for the start
        self._executions: dict[str, Any] = {}
        self._publish, jobs.publish = jobs.publish, self._observe

    def run(self, stop: threading.Event) -> None:
        """Let the headsets act until the event is set."""
        number = 0
        while not stop.wait(ROUND_S / SLICES):
            with self._deps.best_effort("", "simulated headsets"):
                self.take_jobs(MAX_JOBS)
                self.report(self.things[number % SLICES :: SLICES])
            number += 1

    def take_jobs(self, limit: int) -> Sequence[str]:
        """Let so many headsets ask for a job, and carry it out; return those that had one."""
        took = []
        for thing in list(self._pending)[:limit]:
            self._pending.pop(thing, None)
            self._jobs.request(thing, "start-next", b"{}")
            if execution := self._executions.pop(thing, None):
                took.append(thing)
                status = self.install(thing, msgspec.convert(execution["jobDocument"], JobDocument))
                update = msgspec.json.encode(ExecutionUpdate(status=status))
                self._jobs.request(thing, f"{execution['jobId']}/update", update)
        return took

    def install(self, thing: str, document: JobDocument) -> ReportedStatus:
        """Carry out a job, and return how it ended."""
        version = document.firmware.version if document.firmware else self.firmware[thing]
        if version.endswith(FAILING):
            return "FAILED"
        self.firmware[thing] = version
        return "SUCCEEDED"

    def report(self, things: Iterable[str]) -> None:
        """Let headsets report their firmware and the attenuation with it; forget those that were removed."""
        for thing in things:
            version, db = self.firmware[thing], self.baseline_db.get(thing)
            if db is not None:
                db = round(db + effect_db(version) + self._random.gauss(0.0, 0.3), 2)
            try:
                self.send(thing, TelemetryReport(mode="cancel", firmware=version or None, attenuation_db=db))
            except Refused as refusal:
                if refusal.code != "unknown_device":
                    raise
                self.forget(thing)

    def send(self, thing: str, report: TelemetryReport) -> None:
        """Send a report."""
        telemetry.store(thing, msgspec.json.encode(report), self._deps.clock(), self._deps)

    def forget(self, thing: str) -> None:
        """Stop acting for a headset."""
        self.things.remove(thing)
        del self.firmware[thing]
        self._pending.pop(thing, None)

    def _observe(self, topic: str, payload: bytes) -> None:
        self._publish(topic, payload)
        thing, _, kind = topic.removeprefix(PREFIX).partition("/jobs/")
        if thing in self.firmware and kind in ("start-next/accepted", "notify-next"):
            execution = msgspec.json.decode(payload).get("execution")
            if kind == "start-next/accepted":
                self._executions[thing] = execution
            elif execution:
                self._pending[thing] = None


def start(deps: Dependencies, jobs: Jobs) -> None:
    """Let the simulated headsets of a platform act as long as its process runs."""
    fleet = SimulatedFleet(deps, jobs)
    threading.Thread(target=fleet.run, args=(threading.Event(),), daemon=True, name="simulated fleet").start()


def effect_db(version: str) -> float:
    """Return the effect of a firmware version on the attenuation."""
    return FIRMWARE.get(version, WORSE_DB if version.endswith(WORSE) else 0.0)


def _simulated(deps: Dependencies) -> Iterator[HeadsetSummary]:
    after = ""
    while True:
        page = deps.fleet_index.search(FleetQuery(), limit=PAGE, after=after)
        yield from (headset for headset in page.headsets if SIMULATED.fullmatch(headset.thing))
        after = page.next
        if not after:
            return
