"""Who may call which endpoint, and how often, by the table of routes."""

from typing import Any

from anc.aws.events import caller_of
from anc.ports import World
from anc.wire.refusal import Refused, refuse
from functions.routes import REST, RestRoute

ROUTES = {(route.method, route.path): route for route in REST}


def admit(event: dict[str, Any], world: World) -> None:
    """Let a request pass that comes not too often, and from somebody who may call this.

    Raises
    ------
    Refused
        `too_many`, with the seconds after which the caller may come again; `forbidden`; `not_found` for what
        is not in the table.
    """
    route = ROUTES.get((event["httpMethod"], event["resource"]))
    if route:
        _count(route, event["requestContext"], world)
    # A regular expression's `$` stands before a last line feed too: what follows a name must not be dropped.
    if route is None or not event["path"].isprintable():
        refuse("not_found", f"path: there is nothing at {event['path']}")
    if route.role == "public":
        return
    caller = caller_of(event)
    if not caller.may(route.role):
        refuse("forbidden", f"role: this takes {route.role}, you are {caller.role}")
    if not route.for_every_key:
        caller.check_scope(route.family, looks_only=route.method == "GET")


def _count(route: RestRoute, context: dict[str, Any], world: World) -> None:
    # Without a token, a request is counted with the others from the same address.
    user = (context.get("authorizer") or {}).get("principalId")
    caller = f"user {user}" if user else f"address {context['identity']['sourceIp']}"
    most = max(1, round(route.per_minute * world.settings.rate_limit_scale))
    wait_s = world.limits.wait_s(f"{route.method} {route.path}", caller, most)
    if wait_s:
        said = f"requests: at most {most} a minute; come again in {wait_s} s"
        raise Refused("too_many", said, wait_s=wait_s)
