"""`anc.fleet_ports.HeadsetJobs` on SQLite, and the jobs of AWS IoT over MQTT.

References
----------
AWS IoT Core Developer Guide, "Jobs device MQTT API operations" and "Jobs notifications". A headset has
`start-next`, `{job}/update` and `notify-next`, as `functions.headset_rights` allows.
"""

import json
import threading
import time
from collections.abc import Callable, Collection, Sequence
from sqlite3 import Connection
from typing import Any

import msgspec

from anc.rollout_records import JobExecution, JobStatus
from anc.schemas.job import (
    IN_PROGRESS_TIMEOUT_S,
    PAYLOAD_LIMIT,
    ExecutionUpdate,
    JobDocument,
    JobRequest,
    ReportedStatus,
)
from anc.schemas.refusal import Refused, parse_json, refuse
from local.storage.database import Database

START_NEXT = "start-next"
UPDATE = "/update"
ERROR_CODES = {"not_found": "ResourceNotFound", "bad_state": "InvalidStateTransition"}
STATUSES: dict[ReportedStatus, JobStatus] = {
    "IN_PROGRESS": "in_progress",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "REJECTED": "rejected",
}
NEXT = (
    "SELECT job, status, queued_at, started_at, updated_at, version FROM job_executions"
    " WHERE thing = ? AND status IN ('queued', 'in_progress')"
    " ORDER BY status = 'queued', queued_at, job LIMIT 1"
)


def jobs_prefix(thing: str) -> str:
    """Return the prefix of the topics of a thing's jobs."""
    return f"$aws/things/{thing}/jobs/"


class LocalJobs:
    """The jobs of headsets.

    Parameters
    ----------
    database : Database
    publish : callable
        `publish(topic, payload)` of the broker, called from any thread.
    clock : callable
        Seconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        publish: Callable[[str, bytes], None] = lambda topic, payload: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.publish = publish
        self._database = database
        self._clock = clock
        self._publish_lock = threading.Lock()
        database.connection.executescript("""
            CREATE TABLE IF NOT EXISTS headset_jobs (
                job TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS job_executions (
                job TEXT NOT NULL, thing TEXT NOT NULL, status TEXT NOT NULL, queued_at REAL NOT NULL,
                started_at REAL, updated_at REAL NOT NULL, version INTEGER NOT NULL DEFAULT 1,
                PRIMARY KEY (job, thing)) WITHOUT ROWID;
            CREATE INDEX IF NOT EXISTS jobs_of_thing ON job_executions (thing, status);
        """)

    def start(self, job: str, things: Sequence[str], document: JobDocument) -> None:
        """See `HeadsetJobs.start`."""
        now = self._clock()
        with self._database.writing() as connection:
            text = msgspec.json.encode(document).decode()
            new = connection.execute(
                "INSERT INTO headset_jobs VALUES (?, ?) ON CONFLICT (job) DO NOTHING", (job, text)
            ).rowcount
            if new:
                connection.executemany(
                    "INSERT INTO job_executions (job, thing, status, queued_at, updated_at)"
                    " VALUES (?, ?, 'queued', ?, ?)",
                    [(job, thing, now, now) for thing in things],
                )
        if new:
            self._notify(things)

    def executions(self, job: str) -> Sequence[JobExecution]:
        """See `HeadsetJobs.executions`."""
        connection = self._database.connection
        self._expire(connection)
        sql = "SELECT thing, status, updated_at FROM job_executions WHERE job = ? ORDER BY thing"
        return [JobExecution(*row) for row in connection.execute(sql, (job,))]

    def cancel(self, job: str) -> None:
        """See `HeadsetJobs.cancel`."""
        self._end("job = ?", job)

    def remove(self, thing: str) -> None:
        """End the jobs of a headset that is removed."""
        self._end("thing = ?", thing)

    def request(self, thing: str, operation: str, payload: bytes) -> bool:
        """Handle a request on `start-next` or `{job}/update`, and publish the response.

        Returns
        -------
        bool
            False when the request was refused. As in AWS IoT, the reason is published on `rejected`.
        """
        token = None
        try:
            if len(payload) > PAYLOAD_LIMIT:
                refuse("too_large", f"job: must have at most {PAYLOAD_LIMIT:,} bytes (got {len(payload):,})")
            if operation == START_NEXT:
                token = parse_json(payload or b"{}", JobRequest).client_token
                self._publish(thing, f"{operation}/accepted", self._start_next(thing), token)
            else:
                update = parse_json(payload, ExecutionUpdate)
                token = update.client_token
                self._update(thing, operation.removesuffix(UPDATE), update)
                self._publish(thing, f"{operation}/accepted", {}, token)
        except Refused as refusal:
            code = ERROR_CODES.get(refusal.code, "InvalidRequest")
            self._publish(thing, f"{operation}/rejected", {"code": code, "message": refusal.message}, token)
            return False
        if operation != START_NEXT and STATUSES[update.status] != "in_progress":
            self._notify([thing])
        return True

    def _start_next(self, thing: str) -> dict[str, Any]:
        now = self._clock()
        with self._database.writing() as connection:
            self._expire(connection)
            row = connection.execute(NEXT, (thing,)).fetchone()
            if row is None:
                return {}
            job, status, queued_at, started_at, updated_at, version = row
            if status == "queued":
                started_at = updated_at = now
                version += 1
                connection.execute(
                    "UPDATE job_executions SET status = 'in_progress', started_at = ?, updated_at = ?,"
                    " version = ? WHERE job = ? AND thing = ?",
                    (now, now, version, job, thing),
                )
            sql = "SELECT document FROM headset_jobs WHERE job = ?"
            document = json.loads(connection.execute(sql, (job,)).fetchone()[0])
        return {
            "execution": {
                "jobId": job,
                "status": "IN_PROGRESS",
                "queuedAt": int(queued_at),
                "startedAt": int(started_at),
                "lastUpdatedAt": int(updated_at),
                "versionNumber": version,
                "executionNumber": 1,
                "jobDocument": document,
            }
        }

    def _update(self, thing: str, job: str, update: ExecutionUpdate) -> None:
        with self._database.writing() as connection:
            self._expire(connection)
            sql = "SELECT status FROM job_executions WHERE job = ? AND thing = ?"
            row = connection.execute(sql, (job, thing)).fetchone()
            if row is None:
                refuse("not_found", f"job: {job[:64]} is not a job of this headset")
            if row[0] not in ("queued", "in_progress"):
                refuse("bad_state", f"job: {job} has already ended ({row[0]})")
            now = self._clock()
            connection.execute(
                "UPDATE job_executions SET status = ?, started_at = coalesce(started_at, ?), updated_at = ?,"
                " version = version + 1 WHERE job = ? AND thing = ?",
                (STATUSES[update.status], now, now, job, thing),
            )

    def _end(self, condition: str, value: str) -> None:
        with self._database.writing() as connection:
            rows = connection.execute(
                "UPDATE job_executions SET status = 'cancelled', updated_at = ?"  # noqa: S608  a constant
                f" WHERE {condition} AND status IN ('queued', 'in_progress') RETURNING thing",
                (self._clock(), value),
            ).fetchall()
        self._notify([thing for (thing,) in rows])

    def _expire(self, connection: Connection) -> None:
        connection.execute(
            "UPDATE job_executions SET status = 'timed_out', updated_at = started_at + ?"
            " WHERE status = 'in_progress' AND started_at < ?",
            (IN_PROGRESS_TIMEOUT_S, self._clock() - IN_PROGRESS_TIMEOUT_S),
        )

    def _notify(self, things: Collection[str]) -> None:
        """Announce the next job of each headset, or that there is none."""
        for thing in things:
            with self._publish_lock:  # publish the latest state last
                row = self._database.connection.execute(NEXT, (thing,)).fetchone()
                if row is None:
                    self._publish(thing, "notify-next", {}, None)
                    continue
                job, status, queued_at, _, updated_at, version = row
                pending = {
                    "jobId": job,
                    "status": status.upper(),
                    "queuedAt": int(queued_at),
                    "lastUpdatedAt": int(updated_at),
                    "versionNumber": version,
                    "executionNumber": 1,
                }
                self._publish(thing, "notify-next", {"execution": pending}, None)

    def _publish(self, thing: str, stub: str, document: dict[str, Any], token: str | None) -> None:
        message = {**document, "timestamp": int(self._clock())}
        if token is not None:
            message["clientToken"] = token
        self.publish(jobs_prefix(thing) + stub, json.dumps(message, separators=(",", ":")).encode())
