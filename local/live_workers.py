"""Worker processes that filter live blocks, so that sessions use all cores of the machine.

A block takes many short numpy calls, between which a thread holds the interpreter lock: two threads filter
fewer blocks than one, two processes nearly twice as many. Workers are forked before the platform opens
anything, which takes milliseconds and shares the memory of imported modules.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from struct import Struct
from typing import Any, NoReturn

import msgspec
from aws_lambda_powertools import Logger

from anc.ports import Dependencies
from anc.settings import Settings
from anc.tracing import NO_TRACING, Tracing
from functions.audio_receiver.handler import handler
from local import logs
from local.alerts import LoggedAlerts
from local.configuration import DEFAULTS, LaunchSettings
from local.http.frames import Call, answer_call
from local.http.turns import FairSemaphore
from local.lambda_context import LocalContext
from local.storage.counters import FLUSH_S, SqliteCounters
from local.storage.database import Database
from local.storage.tables import open_tables
from local.tracing import tracing_of

MAX_WORKERS = 8  # more would wait for each other's commits
CALLS_PER_WORKER = 2  # one in progress and the next
MAX_ATTEMPTS = 2  # of a block whose worker ends
SIZE = Struct("<I")

logger = Logger(service="live_workers")


class WorkerGone(Exception):
    """Raised when a worker ended with pending calls."""


class LiveWorker:
    """A worker process; callers take turns."""

    def __init__(
        self, others: list[socket.socket], data: Path, settings: Settings, launch: LaunchSettings
    ) -> None:
        self.ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            for inherited in (*others, self.ours):
                inherited.close()  # else it would not detect the end of the platform
            _run_worker(theirs, len(others), data, settings, launch)
        theirs.close()
        self.sockets = 0  # number of WebSockets that it serves
        self.alive = True
        self._turns = FairSemaphore(CALLS_PER_WORKER)
        self._waiting: deque[asyncio.Future[str]] = deque()
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self) -> None:
        """Start reading responses; call it in the event loop of the calls."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self.ours)
        self._reading = asyncio.create_task(self._read(reader))

    async def answer(self, call: Call) -> str:
        """Return the response to a call. Raises WorkerGone."""
        await self._turns.take(call.authorizer["user"])
        try:
            if not self.alive or self._writer is None:
                raise WorkerGone(self.pid)
            body = msgspec.msgpack.encode(call)
            answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            self._waiting.append(answered)
            self._writer.write(SIZE.pack(len(body)) + body)
            return await answered
        finally:
            self._turns.give()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
                text = (await reader.readexactly(size)).decode()
                answered = self._waiting.popleft()
                if not answered.done():
                    answered.set_result(text)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.alive = False
            for answered in self._waiting:
                if not answered.done():
                    answered.set_exception(WorkerGone(self.pid))
            self._waiting.clear()

    async def stop(self) -> None:
        """Let the process finish its calls, and wait for its end."""
        if self._writer is not None:
            self._writer.close()
            await asyncio.gather(self._reading, return_exceptions=True)
        await asyncio.to_thread(os.waitpid, self.pid, 0)


class WorkerConnection:
    """Assigns a WebSocket to one worker, which keeps its sessions in memory."""

    def __init__(self, workers: Sequence[LiveWorker]) -> None:
        self._workers = workers
        self._worker: LiveWorker | None = None

    async def answer(self, call: Call) -> str | None:
        """Return the response to a block, or None when there is no worker.

        A block whose worker ended is sent to another one: if it was stored, it is only answered again. It is
        sent twice at most, because the block may be what ended the worker. Raises WorkerGone.
        """
        for _ in range(MAX_ATTEMPTS):
            worker = self.worker()
            if worker is None:
                return None
            try:
                return await worker.answer(call)
            except WorkerGone:
                logger.error("a live worker ended unexpectedly", pid=worker.pid)
        raise WorkerGone

    def worker(self) -> LiveWorker | None:
        """Return the worker, initially the one with the fewest sockets; None when there is none."""
        if self._worker is None or not self._worker.alive:
            self.close()
            alive = [worker for worker in self._workers if worker.alive]
            self._worker = min(alive, key=lambda worker: worker.sockets, default=None)
            if self._worker:
                self._worker.sockets += 1
        return self._worker

    def close(self) -> None:
        """Release the worker."""
        if self._worker:
            self._worker.sockets -= 1


class LiveWorkers:
    """The workers of the platform, possibly none."""

    def __init__(self, workers: Sequence[LiveWorker] = ()) -> None:
        self._workers = workers

    @classmethod
    def fork(
        cls, count: int, data: Path, settings: Settings, launch: LaunchSettings = DEFAULTS
    ) -> "LiveWorkers":
        """Start `count` processes, at most `MAX_WORKERS`; none outside of Linux, where forking is not safe.

        Call it after all imports and before anything is opened or a thread is started: a fork copies only
        the calling thread, so locks of others would stay locked (DeprecationWarning since Python 3.12).

        Parameters
        ----------
        data : Path
            The data folder, which may not exist yet.
        """
        workers: list[LiveWorker] = []
        gc.freeze()  # garbage collection would copy the shared pages
        for _ in range(min(count, MAX_WORKERS) if sys.platform == "linux" else 0):
            workers.append(LiveWorker([worker.ours for worker in workers], data, settings, launch))
        return cls(workers)

    @contextmanager
    def connection(self) -> Iterator["WorkerConnection"]:
        """Return a context with the worker of a socket."""
        connection = WorkerConnection(self._workers)
        try:
            yield connection
        finally:
            connection.close()

    async def connect(self) -> None:
        """Start reading responses."""
        for worker in self._workers:
            await worker.connect()

    async def stop(self) -> None:
        """End every process."""
        for worker in self._workers:
            await worker.stop()


def _run_worker(
    line: socket.socket, number: int, data: Path, settings: Settings, launch: LaunchSettings
) -> NoReturn:
    """Process calls until the platform closes the connection; the main function of a worker."""
    code = 1
    try:
        for each in (signal.SIGINT, signal.SIGTERM):  # the platform gets them too and closes the connection
            signal.signal(each, signal.SIG_IGN)
        _answer_all(line, number, data, settings, launch)
        code = 0
    except Exception:
        logger.exception("a live worker failed")
    finally:
        os._exit(code)  # skip the cleanup of inherited resources


def _answer_all(
    line: socket.socket, number: int, data: Path, settings: Settings, launch: LaunchSettings
) -> None:
    deps: Dependencies | None = None

    def invoke(function: str, event: dict[str, Any]) -> Any:
        assert deps is not None
        with deps.tracing.span(function):
            return handler(event, LocalContext(function), deps)

    decoder = msgspec.msgpack.Decoder(Call)
    calls = line.makefile("rb")
    while len(head := calls.read(SIZE.size)) == SIZE.size:
        call = decoder.decode(calls.read(*SIZE.unpack(head)))
        if deps is None:  # the platform has created the database by now
            deps = live_dependencies(data, settings, tracing_of(launch))
            logs.start(data, f"live-{number}", deps.tracing)
            threading.Thread(target=_flush_counters_periodically, args=(deps.counters,), daemon=True).start()
        body = answer_call(call, invoke, deps.count).encode()
        line.sendall(SIZE.pack(len(body)) + body)
    if deps is not None:
        deps.counters.flush()  # type: ignore[attr-defined]
        deps.tracing.stop()


def _flush_counters_periodically(counters: SqliteCounters) -> None:
    while True:
        time.sleep(FLUSH_S)
        counters.flush()


class _Absent:
    """A port that is not available to live workers."""

    def __getattr__(self, name: str) -> NoReturn:
        raise NotImplementedError(f"live workers have no port with {name}")


def live_dependencies(data: Path, settings: Settings, tracing: Tracing = NO_TRACING) -> Dependencies:
    """Return the ports that live blocks need, on the platform's data folder."""
    database = Database(data / "anc.db")
    ports: dict[str, Any] = open_tables(database) | {
        "settings": settings,
        "counters": SqliteCounters(database),
        "alerts": LoggedAlerts(),
        "tracing": tracing,
    }
    for field in fields(Dependencies):
        if field.default is MISSING and field.default_factory is MISSING:
            ports.setdefault(field.name, _Absent())
    return Dependencies(**ports)
