"""API keys: credentials for machines, which act as their owner until the key is revoked or expires."""

import secrets
from collections.abc import Collection, Sequence
from contextlib import suppress

from anc.lifetimes import DAY_S
from anc.ports import Conflict, Dependencies
from anc.records import ApiKey, Role
from anc.schemas.refusal import refuse
from anc.services import connections
from anc.services.access import audit
from anc.services.access.identity import KEY_PREFIX, Caller, hash_of
from anc.services.access.quotas import Quota, release, reserve

API_KEYS = Quota(
    name="api_keys",
    things="API keys",
    limit=lambda settings: settings.quota_api_keys,
    table=lambda deps: deps.api_keys,
    remedy="revoke one",
)
PAGE = 100


def create(
    name: str, role: Role, days: float, caller: Caller, deps: Dependencies, scopes: Collection[str] = ()
) -> tuple[ApiKey, str]:
    """Create an API key of the caller; return its record and the key, which is not stored.

    Without scopes, the key may do everything that its role may.

    Raises
    ------
    Refused
        `forbidden` if the role is higher than the caller's, or if the caller uses an API key: a leaked key
        must not create others that outlive its revocation. `too_many` if the quota is used up.
    """
    if caller.key:
        refuse("forbidden", "token: an API key cannot create API keys; sign in")
    if not caller.may(role):
        refuse("forbidden", f"role: must be at most your own, {caller.role} (got {role})")
    user = caller.user
    identifier, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    audit.record("key.create", identifier, caller, deps, name=name, role=role, scopes=" ".join(scopes))
    now = deps.clock()
    reserve(API_KEYS, identifier, user, deps)
    key = deps.api_keys.put(
        ApiKey(
            key=identifier,
            group=user,
            expires=now + DAY_S * days,
            name=name,
            role=role,
            sha256=hash_of(secret),
            created=now,
            scopes=tuple(sorted(set(scopes))),
        )
    )
    deps.count("keys_created")
    return key, f"{KEY_PREFIX}{identifier}_{secret}"


def list_own(user: str, deps: Dependencies) -> Sequence[ApiKey]:
    """Return all API keys of a user, sorted by id."""
    keys: list[ApiKey] = []
    while page := deps.api_keys.list(user, limit=PAGE, after=keys[-1].key if keys else ""):
        keys += page
    return keys


def revoke(identifier: str, caller: Caller, deps: Dependencies) -> None:
    """Revoke an API key of the caller and close its sockets. Raises Refused: `unknown_key`."""
    key = deps.api_keys.get(identifier)
    if key is None or key.group != caller.user:
        refuse("unknown_key", f"key: you have no API key {identifier}")
    audit.record("key.revoke", identifier, caller, deps, name=key.name, role=key.role)
    _revoke(key, deps)


def revoke_all(user: str, deps: Dependencies, above: Role | None = None) -> None:
    """Revoke all API keys of a user, or only those with a role higher than `above`."""
    may = Caller(user, above).may if above else None
    after = ""
    while page := deps.api_keys.list(user, limit=PAGE, after=after):
        after = page[-1].key
        for key in page:
            if may is None or not may(key.role):
                _revoke(key, deps)


def _revoke(key: ApiKey, deps: Dependencies) -> None:
    # Marked first and deleted last: after an interruption the key is useless, and the next attempt finds it.
    with suppress(Conflict):  # another request revokes it
        if not key.revoked:
            deps.api_keys.put(key.replace(revoked=True))
    deps.read_cache.invalidate("api_keys", key.key)
    connections.close_all(key.group, deps, api_key=key.key)
    deps.api_keys.delete(key.key)
    release(API_KEYS, key.key, key.group, deps)
    deps.count("keys_revoked")
