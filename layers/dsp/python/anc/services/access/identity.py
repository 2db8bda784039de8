"""Authentication: verify JWTs and API keys, and return the caller with its current role."""

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
NO_TOKEN = "token: is required"
NO_KEY = "token: unknown API key; it may be revoked or expired"


class Caller(msgspec.Struct, frozen=True):
    """An authenticated user or API key.

    Attributes
    ----------
    user : str
        User id.
    role : str
    key : str
        Id of the API key, or "" for a user's token.
    scopes : tuple of str
        Families of endpoints that the API key may call, such as `devices`, or `devices:read` for read-only
        access. Empty: all that the role permits.
    since : float
        When the token was issued, in seconds since the epoch; 0 for an API key.
    """

    user: str
    role: Role = "listener"
    key: str = ""
    scopes: tuple[str, ...] = ()
    since: float = 0.0

    def may(self, role: Role) -> bool:
        """Return whether the caller has at least this role."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def within(self, family: str, read_only: bool) -> bool:
        """Return whether the scopes include a family of endpoints."""
        return not self.scopes or family in self.scopes or (read_only and f"{family}:read" in self.scopes)

    def check_scope(self, family: str, read_only: bool = False) -> None:
        """Raise Refused, `forbidden`, if the scopes do not include a family of endpoints."""
        if not self.within(family, read_only):
            needed = f"{family}:read" if read_only else family
            refuse("forbidden", f"scope: {needed} is required; the API key has {', '.join(self.scopes)}")

    def may_see(self, owner: str) -> bool:
        """Return whether the caller may read what this user owns."""
        return self.user == owner or self.role != "listener"


def verify(token: str, deps: Dependencies) -> Caller:
    """Return the caller of a JWT or an API key, with its current role.

    Raises
    ------
    Refused
        `unauthorized`: signature, algorithm, issuer, audience, lifetime or subject is invalid; the API key is
        unknown, revoked or expired; or as `refresh`.
    """
    caller = _of_key(token, deps) if token.startswith(KEY_PREFIX) else _of_jwt(token, deps)
    return _limited(caller, deps)


def refresh(caller: Caller, deps: Dependencies) -> Caller:
    """Return a caller that was verified earlier, with its current role.

    A change is effective within `ReadCache.TTL_S`, a change made by this process at once.

    Raises
    ------
    Refused
        `unauthorized`: the user was removed or demoted since, or the API key was revoked.
    """
    if caller.key:
        _usable(deps.read_cache.read("api_keys", caller.key, deps.api_keys.get))
    return _limited(caller, deps)


def _limited(caller: Caller, deps: Dependencies) -> Caller:
    account = accounts.cached_account(caller.user, deps)
    if account and ROLES.index(account.role) < ROLES.index(caller.role):
        account = accounts.current_account(
            caller.user, deps
        )  # a token issued after a promotion works at once
    if account is None:
        return caller
    if account.removed:
        refuse("unauthorized", "token: its user was removed")
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
        refuse("unauthorized", "token: the claim sub must not be empty")
    issued = claims["iat"]
    if float(claims["exp"]) - float(issued) > MAX_TOKEN_HOURS * HOUR_S + CLOCK_SKEW_S:
        refuse("unauthorized", f"token: valid for more than the {MAX_TOKEN_HOURS:g} h allowed; get a new one")
    # An issue time in whole seconds counts as the end of that second, so that a token issued right after a
    # change of role is accepted. The account still limits its role.
    since = float(issued) + 1 if isinstance(issued, int) else float(issued)
    groups = claims.get("cognito:groups")
    role = role_of([claims.get("role"), *(groups if isinstance(groups, list) else [])])
    return Caller(claims["sub"], role, since=since)


def role_of(named: Collection[object]) -> Role:
    """Return the highest role among group names; `listener` if there is none."""
    return next((role for role in reversed(ROLES) if role in named), "listener")


def _of_key(token: str, deps: Dependencies) -> Caller:
    identifier, _, secret = token.removeprefix(KEY_PREFIX).partition("_")
    key = _usable(deps.api_keys.get(identifier) if identifier else None)
    # Compared in constant time.
    if not hmac.compare_digest(key.sha256, hash_of(secret)):
        refuse("unauthorized", NO_KEY)
    return Caller(key.group, key.role, key.key, key.scopes)


def _usable(key: ApiKey | None) -> ApiKey:
    if key is None or key.revoked:
        refuse("unauthorized", NO_KEY)
    return key


def hash_of(secret: str) -> bytes:
    """Return the hash of an API key's secret: a plain one is enough for 32 random bytes."""
    return hashlib.sha256(secret.encode()).digest()


def rest_token_of(headers: Mapping[str, str]) -> str:
    """Return the token of a REST request: `Authorization: Bearer`, or else `X-Api-Key`.

    Parameters
    ----------
    headers : mapping
        By name; upper and lower case are equivalent.

    Raises
    ------
    Refused
        `unauthorized` if there is none.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    return _header_token(lower) or refuse("unauthorized", NO_TOKEN)


def socket_token_of(headers: Mapping[str, str]) -> str:
    """Return the token of a WebSocket handshake: as for REST, or else one of the offered subprotocols.

    Browsers cannot set any other header of a handshake. REST requests do not accept this header, because
    caches and logs in front of the platform do not treat it as a credential.

    Raises
    ------
    Refused
        `unauthorized` if there is none.
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
