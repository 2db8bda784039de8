"""Clients that stream live sessions in real time and measure the latency of the answers."""

import asyncio
import base64
import contextlib
import json
import time
from math import ceil
from typing import NamedTuple

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from anc.settings import Settings
from benchmarks.processes import Server
from local.auth.issuer import Issuer

PATH = (0.0, 0.5, -0.3, 0.2, 0.1)  # from the reference to the primary microphone
RECORDED_S = 4.0  # length of the noise that is sent in a loop
WARM_UP_S = 1.5
USERS = 10


class Format(NamedTuple):
    """Stereo blocks: `samples` of each channel at `rate` Hz."""

    rate: int
    samples: int

    @property
    def block_s(self) -> float:
        """Duration of a block, seconds."""
        return self.samples / self.rate

    def __str__(self) -> str:
        block = f"{self.samples:,} samples ({1e3 * self.block_s:.0f} ms)"
        return f"{self.rate / 1000:g} kHz stereo, blocks of {block}"


class Level(NamedTuple):
    """Results for a number of concurrent sessions.

    Attributes
    ----------
    offered, answered : float
        Blocks per second.
    p50_ms, p99_ms : float
        Latency from the recording of a block to its answer.
    lag_reports : int
        Number of sessions whose answers reported a lag.
    skipped : float
        Share of blocks skipped because of lag.
    server_cpu, client_cpu : float
        CPU cores used by the platform and by all clients.
    """

    sessions: int
    offered: float
    answered: float
    p50_ms: float
    p99_ms: float
    lag_reports: int
    skipped: float
    server_cpu: float
    client_cpu: float

    @property
    def sessions_per_core(self) -> float:
        """Number of sessions per CPU core of the server."""
        return self.sessions * self.answered / self.offered / self.server_cpu


class LiveClient:
    """A session whose blocks are due on a schedule and sent one at a time.

    A block that is due before the last one is answered waits, which adds to its latency. After an answer with
    a lag, or `overloaded`, the session skips to its newest block.
    """

    def __init__(self, socket: ClientConnection, session: str, blocks: list[str], block_s: float) -> None:
        self._socket, self._session, self._blocks, self._block_s = socket, session, blocks, block_s
        self.answers: list[tuple[float, float]] = []  # time and latency
        self.lag_reports = 0
        self.skipped = 0

    async def stream(self, first: float, since: float, until: float) -> None:
        """Send blocks from `first` until `until` and measure those from `since` on (loop times)."""
        loop = asyncio.get_running_loop()
        seq, blocks = 0, ceil((until - first) / self._block_s)
        while seq < blocks and loop.time() < until:
            due = first + seq * self._block_s
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            pcm = self._blocks[seq % len(self._blocks)]
            await self._socket.send(
                f'{{"action":"audio","session":"{self._session}","seq":{seq},"pcm":"{pcm}"}}'
            )
            answer = str(await self._socket.recv())
            now = loop.time()
            seq += 1
            refused = '"code":"overloaded"' in answer
            if answer.startswith('{"type":"audio"'):
                self.answers.append((now, now - due))
            elif not refused:
                raise RuntimeError(f"unexpected answer: {answer[:300]}")
            if refused or '"lag_s":' in answer:
                newest = max(seq, min(int((now - first) / self._block_s), blocks))
                counted = max(seq - refused, ceil((since - first) / self._block_s))
                self.lag_reports += now >= since
                self.skipped += max(newest - counted, 0)
                seq = newest

    async def stop(self) -> None:
        """End the session."""
        await self._socket.send(json.dumps({"action": "stop", "session": self._session}))
        await self._socket.recv()


def blocks_of(form: Format) -> list[str]:
    """Return blocks of noise at the reference, filtered by a short path at the primary, as base64."""
    rng = np.random.default_rng(1)
    x = 0.1 * rng.standard_normal(int(RECORDED_S * form.rate))
    d = np.convolve(x, PATH)[: x.size] + 1e-3 * rng.standard_normal(x.size)
    pcm = np.rint(32768 * np.stack([x, d], axis=1)).astype("<i2")
    starts = range(0, x.size - form.samples + 1, form.samples)
    return [base64.b64encode(pcm[i : i + form.samples].tobytes()).decode() for i in starts]


def dial(server: Server, token: str) -> connect:
    """Return a WebSocket to the platform, to be entered."""
    return connect(
        f"ws://127.0.0.1:{server.port}/ws",
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        proxy=None,
    )


def start_message(form: Format) -> str:
    """Return the request that starts a session."""
    start = {"action": "start", "mode": "cancel", "rate": form.rate, "channels": 2, "taps": 512}
    return json.dumps(start)


async def measure(server: Server, form: Format, sessions: int, seconds: float) -> Level:
    """Stream concurrent sessions and measure them after a warm-up."""
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        microphones = await open_microphones(server, form, sessions, stack)
        first = loop.time() + 0.2
        since = first + WARM_UP_S
        until = since + seconds
        streams = [
            asyncio.create_task(microphone.stream(first + i * form.block_s / sessions, since, until))
            for i, microphone in enumerate(microphones)
        ]
        await asyncio.sleep(since - loop.time())
        begun, server_s, client_s = loop.time(), server.cpu_s(), time.process_time()
        await asyncio.sleep(until - loop.time())
        elapsed = loop.time() - begun
        server_s, client_s = server.cpu_s() - server_s, time.process_time() - client_s
        await asyncio.gather(*streams)
        for microphone in microphones:
            await microphone.stop()
    taken = [late for m in microphones for when, late in m.answers if since <= when < until]
    p50, p99 = np.quantile(taken or [np.nan], [0.5, 0.99])
    offered = sessions / form.block_s
    return Level(
        sessions,
        offered,
        len(taken) / elapsed,
        1e3 * float(p50),
        1e3 * float(p99),
        sum(bool(m.lag_reports) for m in microphones),
        sum(m.skipped for m in microphones) / (offered * elapsed),
        server_s / elapsed,
        client_s / elapsed,
    )


async def open_microphones(
    server: Server, form: Format, sessions: int, stack: contextlib.AsyncExitStack
) -> list[LiveClient]:
    """Open sessions, each on a WebSocket of its own that the stack closes."""
    issuer = Issuer(server.data, Settings())
    tokens = [issuer.issue(f"user-{i}", "listener") for i in range(USERS)]
    blocks, microphones = blocks_of(form), []
    for i in range(sessions):
        socket = await stack.enter_async_context(dial(server, tokens[i % USERS]))
        await socket.send(start_message(form))
        opened = json.loads(await socket.recv())
        microphones.append(LiveClient(socket, opened["session"], blocks, form.block_s))
    return microphones
