"""From the command's options to a platform, and what may go wrong there."""

from pathlib import Path

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from websockets.exceptions import WebSocketException

from anc.wire.refusal import Refused
from anc_client import Refusal
from local.find_platform import find_platform
from local.folder import require_platform
from local.smoke.places import OnAws, OneMachine, Outside, Place
from local.terminal import settings

FAULTS = (
    AssertionError,
    LookupError,
    OSError,  # among them TimeoutError
    Refusal,
    Refused,
    httpx.HTTPError,
    WebSocketException,
    BotoCoreError,
    ClientError,
)


def place(
    url: str | None,
    sockets: str | None,
    token: str | None,
    stacks: str | None,
    https: bool,
    port: int,
    data: Path,
) -> Place:
    """Return the platform that is meant.

    Raises
    ------
    NotServing, UnusableFolder
        On this machine: none answers on the port, or not on this folder.
    """
    if stacks:
        return OnAws(stacks, (url or "").rstrip("/"), sockets or "", https)
    rest = (url or f"http://127.0.0.1:{port}").rstrip("/")
    socket = sockets or rest.replace("http", "ws", 1) + "/ws"
    if token:
        return Outside(rest, socket, token)
    if url:
        require_platform(data)
    else:
        find_platform(port, data, settings())
    return OneMachine(rest, socket, data, settings())
