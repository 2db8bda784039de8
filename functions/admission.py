"""Admission of REST requests by the table of routes: rate limits, roles, scopes and body sizes."""

from typing import Any

from anc.aws.events import caller_of
from anc.client_address import client_address
from anc.ports import Dependencies
from anc.schemas.refusal import Refused, refuse
from anc.services.access import identity
from anc.services.access.identity import Caller
from functions import request_body
from functions.routes import JSON_BYTES, REST, RestRoute

ROUTES = {(route.method, route.path): route for route in REST}


def admit(event: dict[str, Any], deps: Dependencies) -> None:
    """Check that a request is within its limits and that the caller may send it.

    Raises
    ------
    Refused
        `too_many` with the seconds to wait; `unauthorized` when the caller's rights ended since the
        authorizer ran; `forbidden`; `too_large` for a body over the endpoint's limit; `not_found` for a path
        that is not in the table.
    """
    route = ROUTES.get((event["httpMethod"], event["resource"]))
    if route:
        _count(route, event, deps)
    # Patterns of path parameters end with `$`, which also matches before a final line feed.
    if route is None or not event["path"].isprintable():
        refuse("not_found", f"path: no endpoint at {event['path']}")
    if not route.public:
        _check_rights(route, identity.refresh(caller_of(event), deps))
    size = request_body.size(event)
    if size > route.body_bytes:
        refuse("too_large", f"body: must be at most {route.body_bytes:,} bytes (got {size:,})")
    if route.body_bytes > JSON_BYTES:
        _count_bytes(size, caller_of(event), deps)


def _count_bytes(size: int, caller: Caller, deps: Dependencies) -> None:
    settings = deps.settings
    per_minute = round(settings.sound_bytes_per_minute * settings.rate_limit_scale)
    wait_s = deps.limits.wait_s("bytes", f"user {caller.user}", per_minute, max(1, size))
    if wait_s:
        message = (
            f"body: {size:,} bytes exceed your limit of {per_minute:,} bytes of sound per minute; "
            f"try again in {wait_s} s"
        )
        raise Refused("too_many", message, wait_s=wait_s)


def _check_rights(route: RestRoute, caller: Caller) -> None:
    if route.for_users_only and caller.key:
        refuse("forbidden", "token: API keys cannot manage users or keys; sign in")
    if route.role != "public" and not caller.may(route.role):
        refuse("forbidden", f"role: requires {route.role} (you are {caller.role})")
    if not route.for_every_key:
        caller.check_scope(route.family, read_only=route.method == "GET")


def address_of(event: dict[str, Any], deps: Dependencies) -> str:
    """Return the address of the client of a request."""
    source = event["requestContext"]["identity"]["sourceIp"]
    return client_address(event.get("headers") or {}, source, deps.settings.origin_secret)


def _count(route: RestRoute, event: dict[str, Any], deps: Dependencies) -> None:
    context = event["requestContext"]
    # Requests without a token are counted per address.
    user = (context.get("authorizer") or {}).get("principalId")
    caller = f"user {user}" if user else f"address {address_of(event, deps)}"
    per_minute = max(1, round(route.per_minute * deps.settings.rate_limit_scale))
    wait_s = deps.limits.wait_s(f"{route.method} {route.path}", caller, per_minute)
    if wait_s:
        message = f"requests: at most {per_minute} per minute; try again in {wait_s} s"
        raise Refused("too_many", message, wait_s=wait_s)
