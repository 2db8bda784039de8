"""API keys: with one a machine calls in a person's name, until the key is revoked or expires."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from anc.ports import World
from anc.records import ApiKey, Role
from anc.wire.refusal import refuse

PREFIX = "anc_"
KEYS_PER_PERSON = 20


def create(user: str, name: str, role: Role, days: float, world: World) -> tuple[ApiKey, str]:
    """Make a key; the second value is the key itself, which is not kept and cannot be shown again.

    Raises
    ------
    Refused
        `too_many` when the person has as many as may be.
    """
    if len(world.api_keys.list(user, limit=KEYS_PER_PERSON)) >= KEYS_PER_PERSON:
        refuse("too_many", f"keys: {KEYS_PER_PERSON} exist, which is the most; revoke one first")
    identifier, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    now = world.clock()
    key = world.api_keys.put(
        ApiKey(
            key=identifier,
            group=user,
            expires=now + 86_400 * days,
            name=name,
            role=role,
            sha256=_hash(secret),
            created=now,
        )
    )
    world.count("keys_created")
    return key, f"{PREFIX}{identifier}_{secret}"


def find(token: str, world: World) -> ApiKey:
    """Return the key that a token of the form `anc_<id>_<secret>` is. Raises Refused: `unauthorized`."""
    identifier, _, secret = token.removeprefix(PREFIX).partition("_")
    key = world.api_keys.get(identifier) if identifier else None
    # A comparison whose time says nothing; of 32 random bytes a plain hash is enough.
    if key is None or not hmac.compare_digest(key.sha256, _hash(secret)):
        refuse("unauthorized", "token: no such API key; it may have been revoked or have expired")
    return key


def list_own(user: str, world: World) -> Sequence[ApiKey]:
    """Return a person's keys, by id."""
    return world.api_keys.list(user, limit=KEYS_PER_PERSON)


def revoke(identifier: str, user: str, world: World) -> None:
    """Make a key of the person useless at once. Raises Refused: `unknown_key`."""
    key = world.api_keys.get(identifier)
    if key is None or key.group != user:
        refuse("unknown_key", f"key: {identifier} is none of yours")
    world.api_keys.delete(identifier)
    world.count("keys_revoked")


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
