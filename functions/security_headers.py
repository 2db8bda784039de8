"""Security headers of all REST responses."""

from typing import Any

CONTENT_SECURITY_POLICY = "Content-Security-Policy"
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    CONTENT_SECURITY_POLICY: (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(), camera=(), geolocation=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def with_security_headers(response: dict[str, Any]) -> dict[str, Any]:
    """Return a response with the security headers added that it does not set itself."""
    given = response.get("multiValueHeaders") or {}
    names = {name.lower() for name in given}
    added = {name: [value] for name, value in SECURITY_HEADERS.items() if name.lower() not in names}
    return {**response, "multiValueHeaders": {**given, **added}}
