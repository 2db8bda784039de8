"""API keys: with one a machine calls in a person's name, until the key is revoked or expires."""

import secrets
from collections.abc import Collection, Sequence
from contextlib import suppress

from anc.ports import Conflict, World
from anc.records import ApiKey, Role
from anc.services import audit, connections
from anc.services.identity import KEY_PREFIX, Caller, hash_of
from anc.services.quotas import Quota, release, reserve
from anc.wire.refusal import refuse

API_KEYS = Quota(
    name="api_keys",
    things="API keys",
    most=lambda settings: settings.quota_api_keys,
    table=lambda world: world.api_keys,
    remedy="revoke one",
)
PAGE = 100


def create(
    name: str, role: Role, days: float, caller: Caller, world: World, scopes: Collection[str] = ()
) -> tuple[ApiKey, str]:
    """Make a key of the caller's; the second value is the key itself, which is not kept nor shown again.

    Without scopes it may do all that its role may.

    Raises
    ------
    Refused
        `forbidden` for a key that may do more than the caller, or when a key calls: one that leaks must not
        outlive its revocation through others. `too_many` when there are as many as may be.
    """
    if caller.key:
        refuse("forbidden", "token: an API key makes no API keys; sign in")
    if not caller.may(role):
        refuse("forbidden", f"role: {role}, but you are no more than {caller.role}")
    user = caller.user
    identifier, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    audit.record("key.create", identifier, caller, world, name=name, role=role, scopes=" ".join(scopes))
    now = world.clock()
    reserve(API_KEYS, identifier, user, world)
    key = world.api_keys.put(
        ApiKey(
            key=identifier,
            group=user,
            expires=now + 86_400 * days,
            name=name,
            role=role,
            sha256=hash_of(secret),
            created=now,
            scopes=tuple(sorted(set(scopes))),
        )
    )
    world.count("keys_created")
    return key, f"{KEY_PREFIX}{identifier}_{secret}"


def list_own(user: str, world: World) -> Sequence[ApiKey]:
    """Return a person's keys, by id."""
    keys: list[ApiKey] = []
    while page := world.api_keys.list(user, limit=PAGE, after=keys[-1].key if keys else ""):
        keys += page
    return keys


def revoke(identifier: str, caller: Caller, world: World) -> None:
    """Make a key of the caller's useless at once, and close its sockets. Raises Refused: `unknown_key`."""
    key = world.api_keys.get(identifier)
    if key is None or key.group != caller.user:
        refuse("unknown_key", f"key: {identifier} is none of yours")
    audit.record("key.revoke", identifier, caller, world, name=key.name, role=key.role)
    _revoke(key, world)


def revoke_all(user: str, world: World, above: Role | None = None) -> None:
    """Revoke a person's keys, or those that may do more than the role `above`."""
    may = Caller(user, above).may if above else None
    after = ""
    while page := world.api_keys.list(user, limit=PAGE, after=after):
        after = page[-1].key
        for key in page:
            if may is None or not may(key.role):
                _revoke(key, world)


def _revoke(key: ApiKey, world: World) -> None:
    # Revoked first and deleted last: cut short in between, it opens nothing and the next try finds it.
    with suppress(Conflict):  # somebody else revokes it
        if not key.revoked:
            world.api_keys.put(key.but(revoked=True))
    world.recent.forget("api_keys", key.key)
    connections.close_all(key.group, world, api_key=key.key)
    world.api_keys.delete(key.key)
    release(API_KEYS, key.key, key.group, world)
    world.count("keys_revoked")
