"""Who is calling: one way to verify a token, whoever issued it."""

from typing import Literal, get_args

import jwt
import msgspec

from anc.ports import World
from anc.wire.refusal import Refused, refuse

Role = Literal["listener", "operator", "admin"]
ALGORITHM = "RS256"
CLOCK_SKEW_S = 30


class Caller(msgspec.Struct, frozen=True):
    """A person or machine that proved who it is."""

    user: str
    role: Role = "listener"

    def may_see(self, owner: str) -> bool:
        """Tell whether things of this owner are the caller's business."""
        return self.user == owner or self.role != "listener"


def verify(token: str, world: World) -> Caller:
    """Return who the bearer of a JWT is.

    Raises
    ------
    Refused
        `unauthorized`: signature, algorithm, issuer, audience, expiry or subject is not as it must be.
    """
    try:
        claims = jwt.decode(
            token,
            world.keys.key_for(token),
            algorithms=[ALGORITHM],
            issuer=world.settings.token_issuer,
            audience=world.settings.token_audience,
            leeway=CLOCK_SKEW_S,
            options={"require": ["exp", "iat", "sub", "iss", "aud"]},
        )
    except (jwt.PyJWTError, LookupError) as fault:
        raise Refused("unauthorized", f"token: {fault}") from fault
    return Caller(claims["sub"], _role(claims))


def _role(claims: dict[str, object]) -> Role:
    groups = claims.get("cognito:groups")
    named = [claims.get("role"), *(groups if isinstance(groups, list) else [])]
    held = [role for role in reversed(get_args(Role)) if role in named]
    return held[0] if held else "listener"


def token_of(headers: dict[str, str]) -> str:
    """Return the token of a request: `Authorization: Bearer`, or the subprotocols a browser offers.

    Raises
    ------
    Refused
        `unauthorized` when there is none.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    scheme, _, token = lower.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    offered = [part.strip() for part in lower.get("sec-websocket-protocol", "").split(",")]
    tokens = [part for part in offered if part.count(".") == 2]
    return tokens[0] if tokens else refuse("unauthorized", "token: none was given")
