"""Who is calling: one way to verify a token, whoever issued it."""

import hashlib
import hmac
from collections.abc import Collection, Mapping
from typing import get_args

import jwt
import msgspec

from anc.lifetimes import HOUR_S, MAX_TOKEN_HOURS
from anc.ports import Dependencies
from anc.records import ApiKey, Role
from anc.schemas.refusal import Refused, refuse
from anc.services.access import accounts

ROLES: tuple[Role, ...] = get_args(Role)
ALGORITHM = "RS256"
CLOCK_SKEW_S = 30
KEY_PREFIX = "anc_"  # an API key reads anc_<id>_<secret>
NO_TOKEN = "token: none was given"
NO_KEY = "token: no such API key; it may have been revoked or have expired"


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
    since : float
        Seconds since the epoch, when the token was issued; 0 of an API key.
    """

    user: str
    role: Role = "listener"
    key: str = ""
    scopes: tuple[str, ...] = ()
    since: float = 0.0

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


def verify(token: str, deps: Dependencies) -> Caller:
    """Return who the bearer of a token is and what they may do now, be it a JWT or an API key.

    Raises
    ------
    Refused
        `unauthorized`: signature, algorithm, issuer, audience, lifetime or subject is not as it must be; the
        key is unknown, revoked or expired; or as `current`.
    """
    caller = _of_key(token, deps) if token.startswith(KEY_PREFIX) else _of_jwt(token, deps)
    return _limited(caller, deps)


def refresh(caller: Caller, deps: Dependencies) -> Caller:
    """Return somebody who was verified earlier, with what they may do now.

    A change is seen within `Recent.SECONDS`, one by this process at once.

    Raises
    ------
    Refused
        `unauthorized`: the person was removed, or has lost rights since the token was issued; or the key was
        revoked.
    """
    if caller.key:
        _usable(deps.read_cache.read("api_keys", caller.key, deps.api_keys.get))
    return _limited(caller, deps)


def _limited(caller: Caller, deps: Dependencies) -> Caller:
    account = accounts.cached_account(caller.user, deps)
    if account and ROLES.index(account.role) < ROLES.index(caller.role):
        account = accounts.current_account(caller.user, deps)  # after a promotion, a new token counts at once
    if account is None:
        return caller
    if account.removed:
        refuse("unauthorized", "token: its owner was removed")
    if not caller.key and caller.since < account.valid_from:
        refuse("unauthorized", "token: your rights have changed since it was issued; sign in again")
    return msgspec.structs.replace(caller, role=min(caller.role, account.role, key=ROLES.index))


def _of_jwt(token: str, deps: Dependencies) -> Caller:
    try:
        claims = jwt.decode(
            token,
            deps.keys.key_for(token),
            algorithms=[ALGORITHM],
            issuer=deps.settings.token_issuer,
            audience=deps.settings.token_audience,
            leeway=CLOCK_SKEW_S,
            options={"require": ["exp", "iat", "sub", "iss", "aud"]},
        )
    except (jwt.PyJWTError, LookupError) as fault:
        raise Refused("unauthorized", f"token: {fault}") from fault
    if not claims["sub"]:
        refuse("unauthorized", "token: its subject is empty; it must name somebody")
    issued = claims["iat"]
    if float(claims["exp"]) - float(issued) > MAX_TOKEN_HOURS * HOUR_S + CLOCK_SKEW_S:
        refuse("unauthorized", f"token: valid for more than the {MAX_TOKEN_HOURS:g} h allowed; get a new one")
    # An issuer that counts whole seconds means some moment of that second: the last, so that somebody who
    # signs in again right after a change of rights gets in. The account limits what that token may do.
    since = float(issued) + 1 if isinstance(issued, int) else float(issued)
    groups = claims.get("cognito:groups")
    role = role_of([claims.get("role"), *(groups if isinstance(groups, list) else [])])
    return Caller(claims["sub"], role, since=since)


def role_of(named: Collection[object]) -> Role:
    """Return the highest role among names; who has none is a listener."""
    return next((role for role in reversed(ROLES) if role in named), "listener")


def _of_key(token: str, deps: Dependencies) -> Caller:
    identifier, _, secret = token.removeprefix(KEY_PREFIX).partition("_")
    key = _usable(deps.api_keys.get(identifier) if identifier else None)
    # Compared in a time that says nothing.
    if not hmac.compare_digest(key.sha256, hash_of(secret)):
        refuse("unauthorized", NO_KEY)
    return Caller(key.group, key.role, key.key, key.scopes)


def _usable(key: ApiKey | None) -> ApiKey:
    if key is None or key.revoked:
        refuse("unauthorized", NO_KEY)
    return key


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
