"""The address of a client, to which limits of requests without a token apply.

Behind CloudFront, the source of a request is one of CloudFront's addresses, which many clients share. The
console's distribution therefore adds the viewer's address, and a secret that proves that it did.
"""

import hmac
import ipaddress
from collections.abc import Mapping

VIEWER_HEADER = "x-anc-viewer"
SECRET_HEADER = "x-anc-origin"
IPV6_PREFIX = 64  # a subscriber has at least as many addresses


def client_address(headers: Mapping[str, str], source: str, origin_secret: str) -> str:
    """Return the address of a client: the viewer's if CloudFront proves it, else that which connected.

    Parameters
    ----------
    headers : mapping
        By name; upper and lower case are equivalent.
    source : str
        Address that connected.
    origin_secret : str
        What CloudFront adds as `SECRET_HEADER`; "" without CloudFront.

    Returns
    -------
    str
        An IPv4 address, or the network of an IPv6 address.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    proof = lower.get(SECRET_HEADER, "")
    proven = bool(origin_secret) and hmac.compare_digest(proof.encode(), origin_secret.encode())
    return _subscriber(lower.get(VIEWER_HEADER, source) if proven else source)


def _subscriber(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # a test client or a UNIX socket
        return address
    if parsed.version == 4 or parsed.ipv4_mapped:
        return str(getattr(parsed, "ipv4_mapped", None) or parsed)
    return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
