"""Query parameters of an API Gateway event."""

from collections.abc import Collection
from typing import Any

from anc.schemas.refusal import refuse


def check(event: dict[str, Any], known: Collection[str]) -> None:
    """Refuse unknown parameters (`bad_field`), so that typing errors are noticed, and repeated ones.

    Of a repeated one, a function and a page would each take another value.
    """
    values = event.get("multiValueQueryStringParameters") or {}
    for name in event.get("queryStringParameters") or {}:
        if name not in known:
            allowed = f"must be one of {', '.join(sorted(known))}" if known else "the endpoint has none"
            refuse("bad_field", f"{name[:100]}: unknown parameter; {allowed}")
        if len(values.get(name, ())) > 1:
            refuse("bad_field", f"{name[:100]}: must be given once (got {len(values[name])} values)")
