"""Run the emulator with additions for AWS IoT; see the functions below."""

import json
import re
from typing import Any

from ministack import app
from ministack.core.iam_evaluator import pin_request_origin
from ministack.core.responses import error_response_json
from ministack.services import iot, iot_data

known, serve = iot_data.handle_request, iot._mtls_serve_conn
known_by_registry = iot.handle_request
PREFIX = re.compile(r"thingName:((?:[^\s\\]|\\.)+)\*")
NO_NUMBERS: dict[str, dict[str, Any]] = {
    "/indices/percentiles": {"percentiles": []},
    "/indices/buckets": {"totalCount": 0, "buckets": []},
}


async def handle_request(method: str, path: str, *rest: Any) -> Any:
    """Answer DeleteConnection as AWS does for a client that is not connected."""
    if method == "DELETE" and path.startswith("/connections/"):
        return error_response_json("ResourceNotFoundException", "no such connection", 404)
    return await known(method, path, *rest)


async def handle_registry_request(method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
    """Answer queries of the fleet index by prefixes of names: the emulator searches for single terms.

    It finds no shadows, and so no numbers.
    """
    if method != "POST" or path not in ("/indices/search", "/indices/statistics", *NO_NUMBERS):
        return await known_by_registry(method, path, headers, body, *rest)
    answer = NO_NUMBERS.get(path)
    if answer is None:
        things = named(json.loads(body)["queryString"])
        answer = {"things": things} if path == "/indices/search" else {"statistics": {"count": len(things)}}
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def named(query: str) -> list[dict[str, str]]:
    """Return the registered things whose name has the prefix of a query; without one, none."""
    prefix = PREFIX.search(query)
    if prefix is None:
        return []
    begin = prefix[1].replace("\\", "")
    return [{"thingName": name} for name in iot._things if name.startswith(begin)]


async def serve_over_tls(reader: Any, writer: Any) -> None:
    """Mark messages from IoT rules to queues as sent over TLS, which the queue policies require."""
    pin_request_origin(writer.get_extra_info("peername")[0], secure_transport=True)
    await serve(reader, writer)


if __name__ == "__main__":
    iot_data.handle_request = handle_request
    iot.handle_request = handle_registry_request
    iot._mtls_serve_conn = serve_over_tls
    app.main()
