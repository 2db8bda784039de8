"""What answers the links to files: `GET` and `PUT /objects/{key}`, as S3 answers presigned URLs."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from anc.wire.refusal import Refused, refuse
from local.links import PREFIX, Links, Permit
from local.objects import FileObjects

STATUS = {"forbidden": 403, "not_found": 404, "too_large": 413}


class Transfers:
    """The two routes.

    Parameters
    ----------
    objects : FileObjects
    links : Links
        The ones that the store signs with.
    """

    def __init__(self, objects: FileObjects, links: Links) -> None:
        self._objects = objects
        self._links = links

    def routes(self) -> list[Route]:
        """Return the routes, to be mounted beside the API's."""
        return [Route(f"{PREFIX}{{key:path}}", self._answer, methods=["GET", "PUT"])]

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        try:
            permit = self._links.check(method, request.path_params["key"], request.query_params)
            return self._send(permit) if permit.method == "GET" else await self._receive(permit, request)
        except Refused as refusal:
            return _problem(refusal)

    def _send(self, permit: Permit) -> Response:
        path = self._objects.path(permit.key) or refuse("not_found", "file: it is not there any more")
        return FileResponse(path, filename=permit.name)

    async def _receive(self, permit: Permit, request: Request) -> Response:
        with self._objects.incoming() as file:
            received = 0
            async for piece in request.stream():
                received += len(piece)
                if received > permit.size:
                    refuse("too_large", f"body: more than the {permit.size:,} bytes that were announced")
                await asyncio.to_thread(file.write, piece)
            if received != permit.size:
                refuse("bad_field", f"body: {received:,} bytes, {permit.size:,} were announced")
            try:
                await asyncio.to_thread(self._objects.adopt, file, permit.key, permit.parts, permit.number)
            except LookupError as fault:
                raise Refused("not_found", "parts: they were put together or given up already") from fault
        return Response(status_code=200)


def _problem(refusal: Refused) -> Response:
    status = STATUS.get(refusal.code, 400)
    document: dict[str, Any] = {"type": "about:blank", "title": refusal.code, "status": status}
    document |= {"code": refusal.code, "detail": refusal.message}
    return JSONResponse(document, status, media_type="application/problem+json")
