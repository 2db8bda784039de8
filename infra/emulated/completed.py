"""The emulator, and the one call of AWS IoT that it lacks: cutting off a client that is not connected."""

from typing import Any

from ministack import app
from ministack.core.responses import error_response_json
from ministack.services import iot_data

known = iot_data.handle_request


async def handle_request(method: str, path: str, *rest: Any) -> Any:
    """Answer as AWS does when the client is not connected; everything else is the emulator's."""
    if method == "DELETE" and path.startswith("/connections/"):
        return error_response_json("ResourceNotFoundException", "no such connection", 404)
    return await known(method, path, *rest)


if __name__ == "__main__":
    iot_data.handle_request = handle_request
    app.main()
