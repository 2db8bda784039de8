"""Powertools' resolver, where several requests may be in work at the same time."""

import threading
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.api_gateway import ResponseBuilder, Route
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent


class Resolver(APIGatewayRestResolver):
    """An `APIGatewayRestResolver` of which each thread sees only its own request.

    Powertools keeps the event in an attribute of a class and the context in one dictionary, since a Lambda
    container works on one request at a time. The single-machine edition calls the handler from several
    threads, where one caller would be given what another asked for.
    """

    def __init__(self, **options: Any) -> None:
        self._mine = threading.local()
        self._building = threading.Lock()
        super().__init__(**options)

    @property
    def current_event(self) -> APIGatewayProxyEvent:  # type: ignore[override]
        """The event that this thread resolves."""
        event: APIGatewayProxyEvent = self._mine.event
        return event

    @property
    def context(self) -> dict[str, Any]:
        """What was said about the request of this thread."""
        context: dict[str, Any] = self._mine.__dict__.setdefault("context", {})
        return context

    @context.setter
    def context(self, context: dict[str, Any]) -> None:
        self._mine.context = context

    def endpoints(self) -> dict[tuple[str, str], Route]:
        """Return every route by its method and its path in API Gateway's notation."""
        return {
            (route.method, route.openapi_path): route for route in self._static_routes + self._dynamic_routes
        }

    def _to_proxy_event(self, event: dict[str, Any]) -> APIGatewayProxyEvent:
        self._mine.event = super()._to_proxy_event(event)
        return self._mine.event

    def _call_route(self, route: Route, route_arguments: dict[str, str]) -> ResponseBuilder:
        # Built at a route's first request: two at once would wrap it twice.
        if not route._middleware_stack_built:
            with self._building:
                if not route._middleware_stack_built:
                    route._build_middleware_stack(self._router_middlewares, self)
        return super()._call_route(route, route_arguments)
