"""Users whose console is open: it watches a headset, pings as the web console does, and seldom streams.

The web console pings every four minutes. How often a user tries a live session is an assumption, a parameter
of the plan. Latency counts from when a message was due.
"""

import asyncio
import json
import random
import time
from contextlib import AsyncExitStack
from typing import Any

import uvloop
from websockets.asyncio.client import ClientConnection

from anc.settings import Settings
from benchmarks.load.plan import STREAM_16, Gate, Plan, Window, measure_lag, quantiles_ms, sleep_until
from benchmarks.microphones import blocks_of, dial, start_message
from benchmarks.processes import Server
from local.auth.issuer import Issuer
from local.process import open_as_many_files_as_allowed
from tools.fleet_load import owner, thing_name

PING_S = 240.0
PUSHED = ("device", "job")


class User:
    """An open WebSocket, and what its user does.

    Attributes
    ----------
    pings, blocks : list of float
        Seconds from when a message was due to its answer.
    pushed : int
        Messages about the watched headset.
    refused : int
        Blocks that were not filtered, because the platform could not keep up.
    """

    def __init__(self, socket: ClientConnection, blocks: list[str], chance: random.Random) -> None:
        self._socket, self._blocks, self._chance = socket, blocks, chance
        self.pings: list[float] = []
        self.blocks: list[float] = []
        self.visits = self.pushed = self.refused = 0

    async def ask(self, message: str) -> dict[str, Any]:
        """Send a message and return its answer."""
        await self._socket.send(message)
        while True:
            answer: dict[str, Any] = json.loads(await self._socket.recv())
            if answer["type"] in PUSHED:
                self.pushed += 1
            else:
                return answer

    async def expect(self, kind: str, message: str) -> dict[str, Any]:
        """Send a message and return its answer. Raises RuntimeError if it is of another type."""
        answer = await self.ask(message)
        if answer["type"] != kind:
            raise RuntimeError(f"{message[:40]}: {json.dumps(answer)[:200]}")
        return answer

    async def live(self, plan: Plan, window: Window) -> None:
        """Ping and visit until the end of the window."""
        ping_at = window.first + self._chance.uniform(0.0, PING_S)
        visit_at = window.first + self._pause_s(plan)
        while (due := min(ping_at, visit_at)) < window.until:
            await self._wait(due)
            if due == ping_at:
                await self.expect("pong", '{"action":"ping"}')
                self._note(self.pings, due, window)
                ping_at += PING_S
            else:
                await self._visit(due, plan, window)
                visit_at = time.monotonic() + self._pause_s(plan)
        await self._wait(window.until)

    def _pause_s(self, plan: Plan) -> float:
        return self._chance.expovariate(plan.visits_per_hour / 3600) if plan.visits_per_hour else 1e9

    async def _wait(self, due: float) -> None:
        """Read what is pushed until a message is due."""
        while (left := due - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._socket.recv()
                self.pushed += 1
            except TimeoutError:
                return

    async def _visit(self, due: float, plan: Plan, window: Window) -> None:
        session = (await self.expect("started", start_message(STREAM_16)))["session"]
        first = time.monotonic()
        for seq in range(int(plan.visit_s / STREAM_16.block_s)):
            recorded = first + (seq + 1) * STREAM_16.block_s
            await sleep_until(recorded)
            message = {"action": "audio", "session": session, "seq": seq, "pcm": self._blocks[seq % 40]}
            answer = await self.ask(json.dumps(message))
            if answer["type"] == "audio":
                self._note(self.blocks, recorded, window)
            else:
                self.refused += 1
        await self.expect("stopped", json.dumps({"action": "stop", "session": session}))
        self.visits += 1

    def _note(self, taken: list[float], due: float, window: Window) -> None:
        if due >= window.since:
            taken.append(time.monotonic() - due)


def generate(server: Server, plan: Plan, gate: Gate) -> dict[str, Any]:
    """Open sockets and return the latencies of their messages, and which were closed."""
    open_as_many_files_as_allowed()
    return uvloop.run(_live_all(server, plan, gate))


async def _live_all(server: Server, plan: Plan, gate: Gate) -> dict[str, Any]:
    issuer, blocks, users = Issuer(server.data, Settings()), blocks_of(STREAM_16), []
    async with AsyncExitStack() as stack:
        for number in range(plan.users):
            headset = number % plan.headsets if plan.headsets else number
            token = issuer.issue(owner(headset), "listener")
            socket = await stack.enter_async_context(dial(server, token))
            user = User(socket, blocks, random.Random(plan.seed + number))
            if plan.headsets:
                watch = {"action": "watch", "device": thing_name(headset)}
                await user.expect("watching", json.dumps(watch))
            users.append(user)
        window = await asyncio.to_thread(gate.window)
        living = [asyncio.create_task(user.live(plan, window)) for user in users]
        late = await measure_lag(window, gate)
        ends = await asyncio.gather(*living, return_exceptions=True)
    return {
        "sockets": len(users),
        "broken": sorted({str(end)[:200] for end in ends if end is not None}),
        "closed": sum(end is not None for end in ends),
        "ping_ms": quantiles_ms([seconds for user in users for seconds in user.pings]),
        "visits": sum(user.visits for user in users),
        "block_ms": quantiles_ms([seconds for user in users for seconds in user.blocks]),
        "refused": sum(user.refused for user in users),
        "pushed": sum(user.pushed for user in users),
        "late_ms": quantiles_ms(late),
        "cores": gate.cores(window),
    }
