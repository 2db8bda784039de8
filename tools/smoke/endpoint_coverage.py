"""Record which REST endpoints have answered successfully."""

import re

import httpx

from functions.routes import REST

PATTERNS = [
    (route.method, route.path, re.compile(re.escape(route.path).replace(r"\{id\}", "[^/]+") + "$"))
    for route in REST
]


class EndpointCoverage(httpx.BaseTransport):
    """An HTTP transport that records the endpoints that answered with a 2xx status.

    Attributes
    ----------
    answered : set of (str, str)
        Method and path, as in the route table.
    """

    def __init__(self) -> None:
        self.answered: set[tuple[str, str]] = set()
        self._network = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.BaseTransport`."""
        answer = self._network.handle_request(request)
        if answer.is_success:
            self.record(request.method, request.url.path)
        return answer

    def record(self, method: str, path: str) -> None:
        """Record that the endpoint at a path answered."""
        for known, resource, pattern in PATTERNS:  # literal paths come before those with parameters
            if known == method and pattern.search(path):
                self.answered.add((known, resource))
                return
