"""Listen on ports, and explain why a port is unavailable."""

import errno
import json
import socket
import ssl

from local.public_address import listener

TIMEOUT_S = 5.0
MAX_RESPONSE_BYTES = 64 * 1024
JWKS_PATH = "/.well-known/jwks.json"


class PortUnavailable(RuntimeError):
    """Raised when an address or port is unavailable; the message says why and what to do."""


class NotServing(RuntimeError):
    """Raised when no platform responds at an address; the message says what does, if anything."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket for REST and WebSocket. Raises PortUnavailable."""
    try:
        return listener(host, port)
    except OSError as fault:
        if fault.errno == errno.EADDRINUSE:
            reason = f"{_occupant(port)} uses it already"
            raise PortUnavailable(f"--port {port}: {reason}; stop it or choose another port") from fault
        if fault.errno in (errno.EACCES, errno.EPERM):
            reason = "this user may not listen on it; choose one from 1024 on"
            raise PortUnavailable(f"--port {port}: {reason}") from fault
        reason = f"not an address of this machine that can be listened on ({fault.strerror})"
        raise PortUnavailable(f"--host {host}: {reason}") from fault


def mqtt_taken(port: int, fault: OSError) -> PortUnavailable:
    """Return the error when MQTT cannot listen on the port after the REST port."""
    reason = (
        "which another program uses already" if fault.errno == errno.EADDRINUSE else f"and {fault.strerror}"
    )
    return PortUnavailable(
        f"--port {port}: MQTT needs the next port, {port + 1}, {reason}; choose another port"
    )


def published_keys(url: str) -> set[str]:
    """Return the ids of the signing keys that a platform publishes.

    Raises
    ------
    NotServing
        When nothing responds, or another program does.
    """
    import httpx  # noqa: PLC0415  slow, and a platform that starts needs it for an error only

    try:
        # No proxy, since the platform is on this machine.
        with (
            httpx.Client(timeout=TIMEOUT_S, trust_env=False, verify=ssl.create_default_context()) as client,
            client.stream("GET", url + JWKS_PATH) as answer,
        ):
            document = next(answer.raise_for_status().iter_bytes(MAX_RESPONSE_BYTES), b"")
        return {key["kid"] for key in json.loads(document)["keys"]}
    except httpx.ConnectError as fault:
        raise NotServing(f"nothing answers at {url}") from fault
    except (httpx.HTTPError, ValueError, LookupError, TypeError, RecursionError) as fault:
        raise NotServing(f"what answers at {url} is no ANC platform") from fault


def _occupant(port: int) -> str:
    try:
        published_keys(f"http://127.0.0.1:{port}")
    except NotServing:
        return "another program"
    return "another ANC platform"
