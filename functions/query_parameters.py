"""Query parameters of an API Gateway event."""

from collections.abc import Collection
from typing import Any

from anc.schemas.refusal import refuse


def check(event: dict[str, Any], known: Collection[str]) -> None:
    """Refuse unknown parameters (`bad_field`), so that typing errors are noticed."""
    for name in event.get("queryStringParameters") or {}:
        if name not in known:
            allowed = f"must be one of {', '.join(sorted(known))}" if known else "the endpoint has none"
            refuse("bad_field", f"{name[:100]}: unknown parameter; {allowed}")
