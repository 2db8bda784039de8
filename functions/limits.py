"""How often one caller may call one endpoint, by the table of routes."""

from typing import Any

from anc.ports import World
from anc.wire.refusal import Refused
from functions.routes import REST

PER_MINUTE = {(route.method, route.path): route.per_minute for route in REST}


def admit(event: dict[str, Any], world: World) -> None:
    """Note a request; without a token, it is counted with the others from the same address.

    Raises
    ------
    Refused
        `too_many`, with the seconds after which the caller may come again.
    """
    allowed = PER_MINUTE.get((event["httpMethod"], event["resource"]))
    if allowed is None:
        return
    context = event["requestContext"]
    user = (context.get("authorizer") or {}).get("principalId")
    caller = f"user {user}" if user else f"address {context['identity']['sourceIp']}"
    most = max(1, round(allowed * world.settings.rate_limit_scale))
    wait_s = world.limits.wait_s(f"{event['httpMethod']} {event['resource']}", caller, most)
    if wait_s:
        said = f"requests: at most {most} a minute; come again in {wait_s} s"
        raise Refused("too_many", said, wait_s=wait_s)
