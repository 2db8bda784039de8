"""The frames of one WebSocket: read, queued and processed in order, refused when too many are waiting."""

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

MAX_WAITING_BLOCKS = 4  # per session; clients should send one block at a time
MAX_WAITING_FRAMES = 64  # per socket, which may carry several sessions
MAX_WAIT_S = 10.0  # older live blocks are refused
REFUSAL_PAUSE_S = 0.02  # before the next read from an overloaded socket
UNSUPPORTED, TOO_BIG = 1003, 1009

logger = Logger(service="frames")

# Raised by a send when the client has disconnected: before the accept, after it, after the close.
GONE = (OSError, WebSocketDisconnect, RuntimeError)


class _FrameHeader(msgspec.Struct):
    """The fields of a frame that select its route; the other fields are not decoded."""

    action: str = "$default"
    session: Any = ""
    seq: Any = None


async def close(socket: WebSocket, code: int, reason: str = "") -> None:
    """Close a socket; does nothing when the client has disconnected."""
    with suppress(*GONE):
        await socket.close(code, reason)


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """A received frame.

    Attributes
    ----------
    route : str
        Route of the WebSocket API.
    session : str
        Session of an audio block; empty for other frames.
    seq : int or None
        Sequence number of the block.
    received : float
        Time of receipt, in seconds since the epoch.
    """

    text: str
    route: str
    session: str
    seq: int | None
    received: float

    @classmethod
    def read(cls, text: str, received: float) -> "Frame":
        """Return the frame of a text. Invalid frames get the route `$default`, which reports the error."""
        try:
            header = msgspec.json.decode(text, type=_FrameHeader)
        except (msgspec.DecodeError, RecursionError):
            header = _FrameHeader()
        route = header.action if header.action in SOCKET and not header.action.startswith("$") else "$default"
        session = header.session if route == "audio" and isinstance(header.session, str) else ""
        seq = header.seq if session and type(header.seq) is int and 0 <= header.seq < 2**53 else None
        return cls(text, route, session, seq, received)


class Call(msgspec.Struct, frozen=True, array_like=True):
    """A frame with its connection id, the time of the connect, and the authorizer's context."""

    connection: str
    since: float
    authorizer: dict[str, Any]
    frame: Frame


def answer_call(
    call: Call, invoke: Callable[[str, dict[str, Any]], Any], count: Callable[[str], None]
) -> str:
    """Return the response to a frame, as API Gateway does."""
    frame = call.frame
    waited_s = time.time() - frame.received
    if frame.session and waited_s > MAX_WAIT_S:
        count("frames_overloaded")
        message = f"session: this block waited for {waited_s:.1f} s; send the newest block instead, or this "
        return encode(Error("overloaded", f"{message}one again if you need every block", frame.seq))
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
        if frame.session:
            count("blocks_failed")
        return failure(call)


def failure(call: Call) -> str:
    """Return the response of API Gateway to a failed function."""
    response = {
        "message": "Internal server error",
        "connectionId": call.connection,
        "requestId": request_id(),
    }
    return msgspec.json.encode(response).decode()


class Frames:
    """Read the frames of a socket and process them in order.

    While a frame is processed, up to `MAX_WAITING_BLOCKS` blocks per session and `MAX_WAITING_FRAMES` frames
    in total are queued. Further frames are refused at once.

    Parameters
    ----------
    socket : WebSocket
    answer : callable
        `await answer(frame)` returns the response to a frame. It is called for one frame at a time.
    count : callable
        `count(event)` increments the counter of an event.
    """

    def __init__(
        self, socket: WebSocket, answer: Callable[[Frame], Awaitable[str]], count: Callable[[str], None]
    ) -> None:
        self._socket, self._answer, self._count = socket, answer, count
        self._queue: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._waiting: Counter[str] = Counter()

    async def serve(self, idle_s: float, end: float) -> bool:
        """Process frames; return True when the socket is idle or open for too long and must be closed.

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
        """Queue or refuse a frame; return False when it closes the socket."""
        if text is None:
            await close(self._socket, UNSUPPORTED, "only text frames are supported")
            return False
        if len(text.encode()) > FRAME_LIMIT:
            await close(self._socket, TOO_BIG, f"a frame must have at most {FRAME_LIMIT} bytes")
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
        """Return why a frame cannot be queued; empty if it can."""
        if frame.session and self._waiting[frame.session] >= MAX_WAITING_BLOCKS:
            return (
                f"session: {MAX_WAITING_BLOCKS} blocks are waiting, which is the limit; send a block after "
                "the response to the previous one"
            )
        if self._waiting.total() >= MAX_WAITING_FRAMES:
            return (
                f"frame: {MAX_WAITING_FRAMES} frames are waiting, which is the limit; send a frame after the "
                "response to another one"
            )
        return ""

    async def _answer_all(self) -> None:
        while frame := await self._queue.get():
            self._waiting[frame.session] -= 1
            await self._send(await self._answer(frame))

    async def _send(self, text: str) -> None:
        with suppress(*GONE):  # the client has disconnected
            await self._socket.send_text(text)
