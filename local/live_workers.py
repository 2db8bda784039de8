"""Processes that filter live blocks, so that sessions share the machine's cores and not one interpreter.

A block is many short calls of numpy, between which a Python thread holds the interpreter: two threads filter
fewer blocks than one, two processes nearly twice as many. Workers are forked before the platform opens
anything, which takes milliseconds and shares the memory of what was imported.
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
from functions.audio_receiver.handler import handler
from local.alerts import LoggedAlerts
from local.http.frames import Call, answer_call
from local.http.turns import FairSemaphore
from local.lambda_context import LocalContext
from local.storage.counters import FLUSH_S, SqliteCounters
from local.storage.database import Database
from local.storage.tables import open_tables

MOST = 8  # more would wait for each other to commit
IN_WORK = 2  # calls that a worker has: one that it works on, and the next
SIZE = Struct("<I")

logger = Logger(service="live_workers")


class WorkerGone(Exception):
    """The process ended with calls unanswered."""


class LiveWorker:
    """A process that answers calls; callers take turns."""

    def __init__(self, others: list[socket.socket], data: Path, settings: Settings) -> None:
        self.ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            for inherited in (*others, self.ours):
                inherited.close()  # else it would not notice that the platform has ended
            _work(theirs, data, settings)
        theirs.close()
        self.sockets = 0  # WebSockets whose blocks it filters
        self.alive = True
        self._turns = FairSemaphore(IN_WORK)
        self._waiting: deque[asyncio.Future[str]] = deque()
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self) -> None:
        """Begin to read answers; call in the event loop that makes the calls."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self.ours)
        self._reading = asyncio.create_task(self._read(reader))

    async def answer(self, call: Call) -> str:
        """Return the answer to a call. Raises WorkerGone."""
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
        """Let the process finish what it has begun, and end."""
        if self._writer is not None:
            self._writer.close()
            await asyncio.gather(self._reading, return_exceptions=True)
        await asyncio.to_thread(os.waitpid, self.pid, 0)


class WorkerConnection:
    """The way of a socket's blocks to one worker, whose filters for them stay warm."""

    def __init__(self, workers: Sequence[LiveWorker]) -> None:
        self._workers = workers
        self._worker: LiveWorker | None = None

    def worker(self) -> LiveWorker | None:
        """Return the socket's worker, at first the one with the fewest sockets; None when there is none."""
        if self._worker is None or not self._worker.alive:
            self.close()
            alive = [worker for worker in self._workers if worker.alive]
            self._worker = min(alive, key=lambda worker: worker.sockets, default=None)
            if self._worker:
                self._worker.sockets += 1
        return self._worker

    def close(self) -> None:
        """Give the worker up."""
        if self._worker:
            self._worker.sockets -= 1


class LiveWorkers:
    """The platform's workers, of which there may be none."""

    def __init__(self, workers: Sequence[LiveWorker] = ()) -> None:
        self._workers = workers

    @classmethod
    def fork(cls, count: int, data: Path, settings: Settings) -> "LiveWorkers":
        """Start so many processes, at most `MOST`; none where forking is not safe: anywhere but on Linux.

        Call it before anything is opened, and after everything is imported.

        Parameters
        ----------
        data : Path
            The platform's folder, which need not be there yet.
        """
        workers: list[LiveWorker] = []
        gc.freeze()  # collecting would copy the pages that the processes share
        for _ in range(min(count, MOST) if sys.platform == "linux" else 0):
            workers.append(LiveWorker([worker.ours for worker in workers], data, settings))
        return cls(workers)

    @contextmanager
    def line(self) -> Iterator["WorkerConnection"]:
        """Give a socket its way to a worker."""
        line = WorkerConnection(self._workers)
        try:
            yield line
        finally:
            line.close()

    async def connect(self) -> None:
        """Begin to read answers."""
        for worker in self._workers:
            await worker.connect()

    async def stop(self) -> None:
        """End every process."""
        for worker in self._workers:
            await worker.stop()


def _work(line: socket.socket, data: Path, settings: Settings) -> NoReturn:
    """Answer calls until the platform hangs up; the whole life of a worker's process."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):  # the platform gets them too, and then hangs up
            signal.signal(number, signal.SIG_IGN)
        _answer_all(line, data, settings)
        code = 0
    except Exception:
        logger.exception("a live worker failed")
    finally:
        os._exit(code)  # nothing that was inherited is to be cleaned up twice


def _answer_all(line: socket.socket, data: Path, settings: Settings) -> None:
    deps: Dependencies | None = None

    def invoke(function: str, event: dict[str, Any]) -> Any:
        return handler(event, LocalContext(function), deps)

    decoder = msgspec.msgpack.Decoder(Call)
    calls = line.makefile("rb")
    while len(head := calls.read(SIZE.size)) == SIZE.size:
        call = decoder.decode(calls.read(*SIZE.unpack(head)))
        if deps is None:  # the folder is the platform's by now, and its database is there
            deps = live_dependencies(data, settings)
            threading.Thread(target=_keep_counters, args=(deps.counters,), daemon=True).start()
        body = answer_call(call, invoke, deps.count).encode()
        line.sendall(SIZE.pack(len(body)) + body)
    if deps is not None:
        deps.counters.flush()  # type: ignore[attr-defined]


def _keep_counters(counters: SqliteCounters) -> None:
    while True:
        time.sleep(FLUSH_S)
        counters.flush()


class _Absent:
    """A port that live blocks do not need."""

    def __getattr__(self, name: str) -> NoReturn:
        raise NotImplementedError(f"live workers have no port with {name}")


def live_dependencies(data: Path, settings: Settings) -> Dependencies:
    """Return the ports that filtering a block needs, on the platform's folder."""
    database = Database(data / "anc.db")
    ports: dict[str, Any] = open_tables(database) | {
        "settings": settings,
        "counters": SqliteCounters(database),
        "alerts": LoggedAlerts(),
    }
    for field in fields(Dependencies):
        if field.default is MISSING and field.default_factory is MISSING:
            ports.setdefault(field.name, _Absent())
    return Dependencies(**ports)
