"""Security headers for every HTTP response of the local platform."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.security_headers import SECURITY_HEADERS

STRICT_TRANSPORT = "Strict-Transport-Security"


class SecurityHeaders:
    """ASGI middleware that adds the security headers that a response does not set itself.

    Parameters
    ----------
    app : ASGIApp
    strict_transport : bool
        Whether browsers may remember that the host name uses HTTPS. With the platform's own authority, this
        would lock users out of other programs on the same name, for example on `localhost`.
    """

    def __init__(self, app: ASGIApp, strict_transport: bool = True) -> None:
        self._app = app
        self._strict_transport = strict_transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if not self._strict_transport:
                    del headers[STRICT_TRANSPORT]
            await send(message)

        await self._app(scope, receive, send_secured)
