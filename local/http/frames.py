"""The frames of one WebSocket: read as they come, answered in turn, refused when too many wait."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
from aws_lambda_powertools import Logger
from starlette.websockets import WebSocket, WebSocketDisconnect

from anc.schemas.websocket import FRAME_LIMIT, Error, encode
from functions.routes import SOCKET
from local.lambda_context import request_id
from local.lambda_events import socket_event

BLOCKS_WAITING = 4  # of a session; its client is to send one at a time
FRAMES_WAITING = 64  # of a socket, which may carry many sessions
WAIT_LIMIT_S = 10.0  # a live block that has waited for longer is of no use
REFUSAL_PAUSE_S = 0.02  # before the next frame is read from a socket that was sent too many
UNSUPPORTED, TOO_BIG = 1003, 1009

logger = Logger(service="frames")

# What sending to a socket raises when its client has vanished: before it was accepted, after it, once closed.
GONE = (OSError, WebSocketDisconnect, RuntimeError)


class _Head(msgspec.Struct):
    """What of a frame decides who answers it; everything else in it is skipped, not decoded."""

    action: str = "$default"
    session: Any = ""
    seq: Any = None


async def close(socket: WebSocket, code: int, reason: str = "") -> None:
    """Close a socket. Its client may have vanished before, which is no fault."""
    with suppress(*GONE):
        await socket.close(code, reason)


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """A frame that was read.

    Attributes
    ----------
    route : str
        Of the WebSocket API.
    session : str
        Whose block it is; empty for every other frame.
    seq : int or None
        Of the block.
    received : float
        When it was read, in seconds since the epoch.
    """

    text: str
    route: str
    session: str
    seq: int | None
    received: float

    @classmethod
    def read(cls, text: str, received: float) -> "Frame":
        """Tell where a frame belongs. What cannot be read takes the route `$default`, which says so."""
        try:
            head = msgspec.json.decode(text, type=_Head)
        except (msgspec.DecodeError, RecursionError):
            head = _Head()
        route = head.action if head.action in SOCKET and not head.action.startswith("$") else "$default"
        session = head.session if route == "audio" and isinstance(head.session, str) else ""
        seq = head.seq if session and type(head.seq) is int and 0 <= head.seq < 2**53 else None
        return cls(text, route, session, seq, received)


class Call(msgspec.Struct, frozen=True, array_like=True):
    """A frame, the id of its socket, since when that is open, and who the authorizer let in."""

    connection: str
    since: float
    authorizer: dict[str, Any]
    frame: Frame


def answer_call(
    call: Call, invoke: Callable[[str, dict[str, Any]], Any], count: Callable[[str], None]
) -> str:
    """Return the text that answers a frame, as API Gateway does."""
    frame = call.frame
    waited_s = time.time() - frame.received
    if frame.session and waited_s > WAIT_LIMIT_S:
        count("frames_overloaded")
        fault = f"session: this block waited for {waited_s:.1f} s; go on with the newest block, or send this "
        return encode(Error("overloaded", f"{fault}one again if none may be missing", frame.seq))
    event = socket_event(
        "MESSAGE",
        frame.route,
        call.connection,
        call.since,
        call.authorizer,
        body=frame.text,
        received=frame.received,
    )
    try:
        return str(invoke(SOCKET[frame.route], event)["body"])
    except Exception:
        logger.exception("the function failed", function=SOCKET[frame.route])
        return failure(call)


def failure(call: Call) -> str:
    """Return what API Gateway answers when a function fails."""
    said = {
        "message": "Internal server error",
        "connectionId": call.connection,
        "requestId": request_id(),
    }
    return msgspec.json.encode(said).decode()


class Frames:
    """Reads a socket's frames and answers them in turn.

    While one is answered, up to `BLOCKS_WAITING` blocks of each session and `FRAMES_WAITING` frames in all
    wait; what comes beyond is refused at once, without being parsed.

    Parameters
    ----------
    socket : WebSocket
    answer : callable
        `await answer(frame)` returns the text that answers a frame. It is awaited for one frame at a time.
    count : callable
        `count(event)` counts something that happened.
    """

    def __init__(
        self, socket: WebSocket, answer: Callable[[Frame], Awaitable[str]], count: Callable[[str], None]
    ) -> None:
        self._socket, self._answer, self._count = socket, answer, count
        self._queue: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._waiting: Counter[str] = Counter()

    async def serve(self, idle_s: float, end: float) -> bool:
        """Return whether the socket is to be closed, idle or open for too long; else it is closed already.

        Parameters
        ----------
        end : float
            In seconds since the epoch.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._answer_all())
            try:
                return await self._read_all(idle_s, end)
            finally:
                self._queue.put_nowait(None)

    async def _read_all(self, idle_s: float, end: float) -> bool:
        while (left := min(idle_s, end - time.time())) > 0:
            try:
                async with asyncio.timeout(left):
                    message = await self._socket.receive()
            except TimeoutError:
                break
            if message["type"] == "websocket.disconnect" or not await self._take(message.get("text")):
                return False
        return True

    async def _take(self, text: str | None) -> bool:
        """Queue a frame or refuse it; return False for one that closes the socket."""
        if text is None:
            await close(self._socket, UNSUPPORTED, "text frames only")
            return False
        if len(text.encode()) > FRAME_LIMIT:
            await close(self._socket, TOO_BIG, f"a frame is {FRAME_LIMIT} bytes at most")
            return False
        frame = Frame.read(text, time.time())
        if fault := self._fault(frame):
            self._count("frames_overloaded")
            await self._send(encode(Error("overloaded", fault, frame.seq)))
            await asyncio.sleep(REFUSAL_PAUSE_S)
        else:
            self._waiting[frame.session] += 1
            self._queue.put_nowait(frame)
        return True

    def _fault(self, frame: Frame) -> str:
        """Return why a frame cannot wait, if it cannot."""
        if frame.session and self._waiting[frame.session] >= BLOCKS_WAITING:
            return (
                f"session: {BLOCKS_WAITING} of its blocks are waiting, which is the most; send a block when "
                "the last one is answered"
            )
        if self._waiting.total() >= FRAMES_WAITING:
            return (
                f"frame: {FRAMES_WAITING} of this socket are waiting, which is the most; send a frame when "
                "another one is answered"
            )
        return ""

    async def _answer_all(self) -> None:
        while frame := await self._queue.get():
            self._waiting[frame.session] -= 1
            await self._send(await self._answer(frame))

    async def _send(self, text: str) -> None:
        with suppress(*GONE):  # closed: what was done stays done
            await self._socket.send_text(text)
