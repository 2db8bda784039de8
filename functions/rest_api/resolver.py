"""A Powertools resolver that handles requests in several threads."""

import threading
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.api_gateway import ResponseBuilder, Route
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent


class Resolver(APIGatewayRestResolver):
    """An `APIGatewayRestResolver` that keeps the current request per thread.

    Powertools keeps the event in a class attribute and the context in one dictionary, because a Lambda
    container handles one request at a time. The local platform calls the handler from several threads, where
    callers would get the responses of others.
    """

    def __init__(self, **options: Any) -> None:
        self._local = threading.local()
        self._building = threading.Lock()
        super().__init__(**options)

    @property
    def current_event(self) -> APIGatewayProxyEvent:  # type: ignore[override]
        """The event that this thread handles."""
        event: APIGatewayProxyEvent = self._local.event
        return event

    @property
    def context(self) -> dict[str, Any]:
        """The context of this thread's request."""
        context: dict[str, Any] = self._local.__dict__.setdefault("context", {})
        return context

    @context.setter
    def context(self, context: dict[str, Any]) -> None:
        self._local.context = context

    def endpoints(self) -> dict[tuple[str, str], Route]:
        """Return every route by its method and its path in API Gateway's notation."""
        return {
            (route.method, route.openapi_path): route for route in self._static_routes + self._dynamic_routes
        }

    def _to_proxy_event(self, event: dict[str, Any]) -> APIGatewayProxyEvent:
        self._local.event = super()._to_proxy_event(event)
        return self._local.event

    def _handle_not_found(self, method: str, path: str) -> ResponseBuilder:
        # Powertools searches the path for parameters, with an expression that takes quadratic time.
        return super()._handle_not_found(method, "/")

    def _call_route(self, route: Route, route_arguments: dict[str, str]) -> ResponseBuilder:
        # The stack is built at the first request of a route; two threads at once would wrap it twice.
        if not route._middleware_stack_built:
            with self._building:
                if not route._middleware_stack_built:
                    route._build_middleware_stack(self._router_middlewares, self)
        return super()._call_route(route, route_arguments)
