"""What answers the links to files: `GET` and `PUT /objects/{key}`, as S3 answers presigned URLs."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from anc.schemas.refusal import Refused, refuse
from anc.services.sound.jobs import MAX_PART_BYTES
from local.http.request_body import AUTHORISED, CLOSE, ByteBudget, RequestBody
from local.http.rest import problem
from local.http.signed_urls import PREFIX, SignedRequest, SignedUrls
from local.storage.objects import FileObjects

# Bytes being received at the same time: over all links, and over one link, which a client may try again while
# its first connection is not known to be dead.
IN_FLIGHT, OF_A_LINK = 4 * 1024**3, 2 * MAX_PART_BYTES


class Transfers:
    """The two routes.

    Parameters
    ----------
    objects : FileObjects
    links : Links
        The ones that the store signs with.
    permits : callable
        Whether the file of a key may still be sent or fetched, whatever its link says.
    """

    def __init__(self, objects: FileObjects, links: SignedUrls, permits: Callable[[str], bool]) -> None:
        self._objects = objects
        self._links = links
        self._budget = ByteBudget(IN_FLIGHT, OF_A_LINK)
        self._permits = permits

    def routes(self) -> list[Route]:
        """Return the routes, to be mounted beside the API's."""
        return [Route(f"{PREFIX}{{key:path}}", self._answer, methods=["GET", "PUT"])]

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        body = RequestBody(request, 0)
        try:
            permit = self._links.check(method, request.path_params["key"], request.query_params)
            if not await asyncio.to_thread(self._permits, permit.key):
                refuse("not_found", "file: its recording was removed")
            request.scope[AUTHORISED] = True
            if permit.method == "GET":
                return self._send(permit)
            body = RequestBody(request, permit.size)
            with self._budget.hold(f"{permit.key} {permit.number}", permit.size):
                return await self._receive(permit, body)
        except Refused as refusal:
            return problem(refusal, {} if await body.discard() else CLOSE)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)

    def _send(self, permit: SignedRequest) -> Response:
        path = self._objects.path(permit.key) or refuse("not_found", "file: it is not there any more")
        return FileResponse(path, filename=permit.name)

    async def _receive(self, permit: SignedRequest, body: RequestBody) -> Response:
        with self._objects.incoming() as file:
            received = 0
            async for piece in body.pieces():
                received += len(piece)
                await asyncio.to_thread(file.write, piece)
            if received != permit.size:
                refuse("bad_field", f"body: {received:,} bytes, {permit.size:,} were announced")
            try:
                await asyncio.to_thread(self._objects.adopt, file, permit.key, permit.parts, permit.number)
            except LookupError as fault:
                raise Refused("not_found", "parts: they were put together or given up already") from fault
        return Response(status_code=200)
