"""The console as this machine serves it: static files under the headers that CloudFront sends too."""

import json
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

HERE = Path(__file__).parents[1]
# In the package; in a checkout the folder lies beside `local`.
WEB = next(path for path in (HERE / "web", HERE.parent / "web") if path.is_dir())
HEADERS: dict[str, str] = json.loads((WEB / "headers.json").read_text())
FOLDERS = ("lib", "live", "pages", "ui", "vendor")
FILES = ("index.html", "app.js", "style.css", "icon.svg", "config.json", "costs.json")
FRESH = {"Cache-Control": "no-cache"}  # asked for each time, sent only when it changed


class _Folder(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS | FRESH)
        return response


def routes() -> list[BaseRoute]:
    """Return the routes of the console; `/` is its page."""
    folders = [Mount(f"/{name}", _Folder(directory=WEB / name)) for name in FOLDERS]
    return [
        Route("/", _sending("index.html")),
        *(Route(f"/{name}", _sending(name)) for name in FILES),
        *folders,
    ]


def _sending(name: str) -> Callable[[Request], FileResponse]:
    def send(_: Request) -> FileResponse:
        return FileResponse(WEB / name, headers=HEADERS | FRESH)

    return send
