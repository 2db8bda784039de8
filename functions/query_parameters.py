"""The query of a request, as API Gateway passes it on."""

from collections.abc import Collection
from typing import Any

from anc.schemas.refusal import refuse


def check(event: dict[str, Any], known: Collection[str]) -> None:
    """Refuse, `bad_field`, a parameter that an endpoint does not know: a slip would go unnoticed."""
    for name in event.get("queryStringParameters") or {}:
        if name not in known:
            allowed = f"known are {', '.join(sorted(known))}" if known else "none is known here"
            refuse("bad_field", f"{name[:100]}: unknown parameter; {allowed}")
