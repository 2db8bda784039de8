"""The console of the local platform: static files with the same headers as CloudFront sends."""

import json
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

HERE = Path(__file__).parents[1]
# In an installed package the folder is in `local`, in a checkout beside it.
WEB = next(path for path in (HERE / "web", HERE.parent / "web") if path.is_dir())
HEADERS: dict[str, str] = json.loads((WEB / "headers.json").read_text())
FOLDERS = ("lib", "live", "pages", "ui", "vendor")
FILES = ("index.html", "app.js", "style.css", "icon.svg", "config.json", "costs.json")
NO_CACHE = {"Cache-Control": "no-cache"}  # revalidated each time


class _Folder(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS | NO_CACHE)
        return response


def routes() -> list[BaseRoute]:
    """Return the routes of the console, with its page at `/`."""
    folders = [Mount(f"/{name}", _Folder(directory=WEB / name)) for name in FOLDERS]
    return [
        Route("/", _serve_file("index.html")),
        *(Route(f"/{name}", _serve_file(name)) for name in FILES),
        *folders,
    ]


def _serve_file(name: str) -> Callable[[Request], FileResponse]:
    def send(_: Request) -> FileResponse:
        return FileResponse(WEB / name, headers=HEADERS | NO_CACHE)

    return send
