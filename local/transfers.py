"""What answers the links to files: `GET` and `PUT /objects/{key}`, as S3 answers presigned URLs."""

import asyncio
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from anc.wire.refusal import Refused, refuse
from local.bodies import CLOSE, pieces
from local.links import PREFIX, Links, Permit
from local.objects import FileObjects
from local.rest import problem

BODY_S = 3600.0  # 64 MB over a slow line


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
            return problem(refusal.code, refusal.message, CLOSE)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # which nobody hears

    def _send(self, permit: Permit) -> Response:
        path = self._objects.path(permit.key) or refuse("not_found", "file: it is not there any more")
        return FileResponse(path, filename=permit.name)

    async def _receive(self, permit: Permit, request: Request) -> Response:
        with self._objects.incoming() as file:
            received = 0
            async for piece in pieces(request, permit.size, BODY_S):
                received += len(piece)
                await asyncio.to_thread(file.write, piece)
            if received != permit.size:
                refuse("bad_field", f"body: {received:,} bytes, {permit.size:,} were announced")
            try:
                await asyncio.to_thread(self._objects.adopt, file, permit.key, permit.parts, permit.number)
            except LookupError as fault:
                raise Refused("not_found", "parts: they were put together or given up already") from fault
        return Response(status_code=200)
