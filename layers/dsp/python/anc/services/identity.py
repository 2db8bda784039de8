"""Who is calling: one way to verify a token, whoever issued it."""

import hashlib
import hmac
from collections.abc import Collection, Mapping
from typing import get_args

import jwt
import msgspec

from anc.ports import World
from anc.records import Role
from anc.wire.refusal import Refused, refuse

ROLES: tuple[Role, ...] = get_args(Role)
ALGORITHM = "RS256"
CLOCK_SKEW_S = 30
KEY_PREFIX = "anc_"  # an API key reads anc_<id>_<secret>
NO_TOKEN = "token: none was given"


class Caller(msgspec.Struct, frozen=True):
    """A person, or a machine in a person's name, that proved who it is.

    Attributes
    ----------
    user : str
    role : str
    key : str
        The id of the API key that calls, or "".
    scopes : tuple of str
        The families of endpoints to which the key is bound, as `devices`, or `devices:read` for looking only;
        none when it may do all that its role may.
    """

    user: str
    role: Role = "listener"
    key: str = ""
    scopes: tuple[str, ...] = ()

    def may(self, role: Role) -> bool:
        """Tell whether the caller may do what takes at least this role."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def within(self, family: str, looks_only: bool) -> bool:
        """Tell whether a family of endpoints is within the scopes of the key that calls."""
        return not self.scopes or family in self.scopes or (looks_only and f"{family}:read" in self.scopes)

    def check_scope(self, family: str, looks_only: bool = False) -> None:
        """Raise Refused, `forbidden`, for what is not within the scopes of the key that calls."""
        if not self.within(family, looks_only):
            takes = f"{family}:read" if looks_only else family
            refuse("forbidden", f"scope: this takes {takes}, the key is for {', '.join(self.scopes)}")

    def may_see(self, owner: str) -> bool:
        """Tell whether things of this owner are the caller's business."""
        return self.user == owner or self.role != "listener"


def verify(token: str, world: World) -> Caller:
    """Return who the bearer of a token is, be it a JWT or an API key.

    Raises
    ------
    Refused
        `unauthorized`: signature, algorithm, issuer, audience, expiry or subject is not as it must be; or the
        key is unknown, revoked or expired.
    """
    if token.startswith(KEY_PREFIX):
        return _of_key(token, world)
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
    groups = claims.get("cognito:groups")
    return Caller(claims["sub"], role_of([claims.get("role"), *(groups if isinstance(groups, list) else [])]))


def role_of(named: Collection[object]) -> Role:
    """Return the highest role among names; who has none is a listener."""
    return next((role for role in reversed(ROLES) if role in named), "listener")


def _of_key(token: str, world: World) -> Caller:
    identifier, _, secret = token.removeprefix(KEY_PREFIX).partition("_")
    key = world.api_keys.get(identifier) if identifier else None
    # Compared in a time that says nothing.
    if key is None or not hmac.compare_digest(key.sha256, hash_of(secret)):
        refuse("unauthorized", "token: no such API key; it may have been revoked or have expired")
    return Caller(key.group, key.role, key.key, key.scopes)


def hash_of(secret: str) -> bytes:
    """Return what is kept of an API key's secret: of 32 random bytes a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def rest_token_of(headers: Mapping[str, str]) -> str:
    """Return the token of a REST request: `Authorization: Bearer`, or else `X-Api-Key`.

    Parameters
    ----------
    headers : mapping
        By name, in any case.

    Raises
    ------
    Refused
        `unauthorized` when there is none.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    return _header_token(lower) or refuse("unauthorized", NO_TOKEN)


def socket_token_of(headers: Mapping[str, str]) -> str:
    """Return the token of a WebSocket handshake: as for REST, or else one of the offered subprotocols.

    A browser sets no header of a handshake but the list of subprotocols. REST requests must never be
    authorised by it: caches and logs in front of them do not know that header as a credential.

    Raises
    ------
    Refused
        `unauthorized` when there is none.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    offered = [part.strip() for part in lower.get("sec-websocket-protocol", "").split(",")]
    tokens = [part for part in offered if part.count(".") == 2 or part.startswith(KEY_PREFIX)]
    return _header_token(lower) or next(iter(tokens), "") or refuse("unauthorized", NO_TOKEN)


def _header_token(lower: Mapping[str, str]) -> str:
    scheme, _, token = lower.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return lower.get("x-api-key", "").strip()
