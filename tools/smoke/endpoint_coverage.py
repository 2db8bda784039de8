"""The network, and which endpoints were seen to answer over it."""

import re

import httpx

from functions.routes import REST

PATTERNS = [
    (route.method, route.path, re.compile(re.escape(route.path).replace(r"\{id\}", "[^/]+") + "$"))
    for route in REST
]


class EndpointCoverage(httpx.BaseTransport):
    """Sends requests, and notes the endpoints that answered as they should.

    Attributes
    ----------
    answered : set of (str, str)
        Methods and paths of the table of routes.
    """

    def __init__(self) -> None:
        self.answered: set[tuple[str, str]] = set()
        self._network = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.BaseTransport`."""
        answer = self._network.handle_request(request)
        if answer.is_success:
            self.saw(request.method, request.url.path)
        return answer

    def saw(self, method: str, path: str) -> None:
        """Note that the endpoint at a path answered."""
        for known, resource, pattern in PATTERNS:  # literal paths stand before those with names in them
            if known == method and pattern.search(path):
                self.answered.add((known, resource))
                return
