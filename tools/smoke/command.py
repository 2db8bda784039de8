"""Select the target platform of `anc smoke` from its options."""

from pathlib import Path

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from websockets.exceptions import WebSocketException

from anc.schemas.refusal import Refused
from anc_client import ApiError
from local.data_folder import require_platform
from tools.cli.find_platform import find_platform
from tools.cli.terminal import DEFAULT_PORT, settings
from tools.smoke.targets import AwsTarget, LocalTarget, RemoteTarget, Target

FAULTS = (
    AssertionError,
    LookupError,
    OSError,  # includes TimeoutError
    ApiError,
    Refused,
    httpx.HTTPError,
    WebSocketException,
    BotoCoreError,
    ClientError,
)


def target(
    url: str | None,
    sockets: str | None,
    token: str | None,
    stacks: str | None,
    https: bool,
    port: int | None,
    data: Path,
) -> Target:
    """Return the platform to test.

    Raises
    ------
    NotServing, UnusableFolder
        No local platform on the port, or one with another data folder.
    """
    if stacks:
        return AwsTarget(stacks, (url or "").rstrip("/"), sockets or "", https)
    if url:
        if not token:
            require_platform(data)
        rest = url.rstrip("/")
    elif token:
        rest = f"http://127.0.0.1:{port or DEFAULT_PORT}"
    else:
        rest = find_platform(port, data, settings()).url
    socket = sockets or rest.replace("http", "ws", 1) + "/ws"
    if token:
        return RemoteTarget(rest, socket, token)
    return LocalTarget(rest, socket, data, settings())
