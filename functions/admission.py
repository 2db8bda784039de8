"""Who may call which endpoint, how often, and with how large a body, by the table of routes."""

from typing import Any

from anc.aws.events import caller_of
from anc.ports import Dependencies
from anc.schemas.refusal import Refused, refuse
from anc.services.access import identity
from anc.services.access.identity import Caller
from functions import request_body
from functions.routes import JSON_BYTES, REST, RestRoute

ROUTES = {(route.method, route.path): route for route in REST}


def admit(event: dict[str, Any], deps: Dependencies) -> None:
    """Let a request pass that comes not too often, and from somebody who may call this.

    Raises
    ------
    Refused
        `too_many` with the seconds to wait; `unauthorized` when the caller's rights have ended since the
        authorizer looked; `forbidden`; `too_large` for a body over the endpoint's limit; `not_found` for what
        is not in the table.
    """
    route = ROUTES.get((event["httpMethod"], event["resource"]))
    if route:
        _count(route, event["requestContext"], deps)
    # A regular expression's `$` stands before a last line feed too: what follows a name must not be dropped.
    if route is None or not event["path"].isprintable():
        refuse("not_found", f"path: there is nothing at {event['path']}")
    if not route.public:
        _check_rights(route, identity.refresh(caller_of(event), deps))
    size = request_body.size(event)
    if size > route.body_bytes:
        refuse("too_large", f"body: at most {route.body_bytes:,} bytes")
    if route.body_bytes > JSON_BYTES:
        _count_bytes(size, caller_of(event), deps)


def _count_bytes(size: int, caller: Caller, deps: Dependencies) -> None:
    settings = deps.settings
    most = round(settings.sound_bytes_per_minute * settings.rate_limit_scale)
    wait_s = deps.limits.wait_s("bytes", f"user {caller.user}", most, max(1, size))
    if wait_s:
        said = (
            f"body: {size:,} bytes more than your {most:,} bytes of sound a minute; try again in {wait_s} s"
        )
        raise Refused("too_many", said, wait_s=wait_s)


def _check_rights(route: RestRoute, caller: Caller) -> None:
    if route.for_people_only and caller.key:
        refuse("forbidden", "token: an API key manages neither people nor keys; sign in")
    if route.role != "public" and not caller.may(route.role):
        refuse("forbidden", f"role: this takes {route.role}, you are {caller.role}")
    if not route.for_every_key:
        caller.check_scope(route.family, looks_only=route.method == "GET")


def _count(route: RestRoute, context: dict[str, Any], deps: Dependencies) -> None:
    # Without a token, a request is counted with the others from the same address.
    user = (context.get("authorizer") or {}).get("principalId")
    caller = f"user {user}" if user else f"address {context['identity']['sourceIp']}"
    most = max(1, round(route.per_minute * deps.settings.rate_limit_scale))
    wait_s = deps.limits.wait_s(f"{route.method} {route.path}", caller, most)
    if wait_s:
        said = f"requests: at most {most} a minute; come again in {wait_s} s"
        raise Refused("too_many", said, wait_s=wait_s)
