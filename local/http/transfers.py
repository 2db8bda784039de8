"""Downloads and uploads by signed link: `GET` and `PUT /objects/{key}`, like S3's presigned URLs."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from aws_lambda_powertools import Logger
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from anc.ports import StorageUnavailable
from anc.schemas.refusal import Refused, refuse
from anc.services.sound.jobs import MAX_PART_BYTES
from local.http.request_body import AUTHORISED, CLOSE_HEADERS, ByteBudget, RequestBody
from local.http.rest import problem
from local.http.signed_urls import PREFIX, SignedRequest, SignedUrls
from local.storage.objects import FileObjects

logger = Logger(service="transfers")

# Bytes received at the same time, in total and per link. A client may retry a link while the platform has not
# noticed yet that its first connection is dead.
MAX_RECEIVING_BYTES, MAX_LINK_BYTES = 4 * 1024**3, 2 * MAX_PART_BYTES


class Transfers:
    """The routes of signed links.

    Parameters
    ----------
    objects : FileObjects
    links : SignedUrls
        Verifies the links; the same as in `objects`.
    permits : callable
        `permits(key)` returns whether a file may still be uploaded or downloaded.
    """

    def __init__(self, objects: FileObjects, links: SignedUrls, permits: Callable[[str], bool]) -> None:
        self._objects = objects
        self._links = links
        self._budget = ByteBudget(MAX_RECEIVING_BYTES, MAX_LINK_BYTES)
        self._permits = permits

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route(f"{PREFIX}{{key:path}}", self._answer, methods=["GET", "PUT"])]

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        body = RequestBody(request, 0)
        try:
            permit = self._links.check(method, request.path_params["key"], request.query_params)
            if not await asyncio.to_thread(self._permits, permit.key):
                refuse("not_found", "file: the recording was deleted")
            request.scope[AUTHORISED] = True
            if permit.method == "GET":
                return self._send(permit)
            body = RequestBody(request, permit.size)
            with self._budget.hold(f"{permit.key} {permit.number}", permit.size):
                return await self._receive(permit, body)
        except Refused as refusal:
            return problem(refusal, {} if await body.discard() else CLOSE_HEADERS)
        except StorageUnavailable as fault:
            logger.error("a file cannot be stored", fault=str(fault))
            return problem(fault.refusal(), {} if await body.discard() else CLOSE_HEADERS)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)

    def _send(self, permit: SignedRequest) -> Response:
        path = self._objects.path(permit.key) or refuse("not_found", "file does not exist any more")
        return FileResponse(path, filename=permit.name)

    async def _receive(self, permit: SignedRequest, body: RequestBody) -> Response:
        with self._objects.incoming() as file:
            received = 0
            async for chunk in body.chunks():
                received += len(chunk)
                await asyncio.to_thread(file.write, chunk)
            if received != permit.size:
                refuse("bad_field", f"body must have {permit.size:,} bytes (got {received:,})")
            try:
                await asyncio.to_thread(self._objects.adopt, file, permit.key, permit.parts, permit.number)
            except LookupError as fault:
                raise Refused("not_found", "parts: the upload was completed or aborted already") from fault
        return Response(status_code=200)
