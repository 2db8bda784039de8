"""The people who may sign in, and what becomes of their things when they may no more."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from anc.ports import Conflict, Grant, World
from anc.records import Person, Role
from anc.services import devices, jobs, keys, sessions
from anc.services.identity import Caller
from anc.wire.refusal import Refused, refuse

ME = "me"  # in a path, whoever calls


def sign_in(name: str, password: str, world: World) -> Grant:
    """Return a bearer token. Raises Refused, `unauthorized`, which does not say what was wrong."""
    grant = world.people.sign_in(name, password)
    if grant is None:
        world.count("sign_ins_refused")
        refuse("unauthorized", "username or password: wrong, or more is needed to sign in")
    world.count("sign_ins")
    return grant


def create(name: str, password: str, role: Role, world: World) -> Person:
    """Add a person. Raises Refused: `exists`, or `bad_field` for a password that is too simple."""
    if name == ME:
        refuse("exists", "username: `me` is whoever asks")
    try:
        person = world.people.create(name, password, role)
    except Conflict as taken:
        raise Refused("exists", "username: taken") from taken
    world.count("people_created")
    return person


def find(user: str, world: World) -> Person:
    """Return a person. Raises Refused: `unknown_user`."""
    return world.people.get(user) or refuse("unknown_user", f"user: there is no {user}")


def list_all(limit: int, after: str, world: World) -> tuple[Sequence[Person], str]:
    """Return a page of people, and what to ask `after` for the next one."""
    return world.people.list(limit, after)


def set_role(user: str, role: Role, world: World) -> Person:
    """Let a person do more or less, from their next token on; keys that may do more are revoked at once."""
    person = find(user, world)
    world.people.set_role(user, role)
    may_now = Caller(user, role)
    for key in keys.list_own(user, world):
        if not may_now.may(key.role):
            with _removed_meanwhile():
                keys.revoke(key.key, user, world)
    return Person(user=user, name=person.name, role=role, created=person.created)


def remove(user: str, world: World) -> None:
    """Remove a person with all that is theirs. A token that is out stays valid until it expires.

    The person goes last: a removal that broke off can be repeated, and removes the rest. What the person
    removed or ended meanwhile is passed over.
    """
    find(user, world)
    gone = Caller(user)
    for key in keys.list_own(user, world):
        with _removed_meanwhile():
            keys.revoke(key.key, user, world)
    while streams := sessions.list_own(gone, world):
        for stream in streams:
            with _removed_meanwhile():
                sessions.end(stream.key, gone, world)
    while recordings := jobs.list_own(gone, world):
        for job in recordings:
            with _removed_meanwhile():
                jobs.remove(job.key, gone, world)
    while page := devices.list_own(gone, world):
        for device in page:
            with _removed_meanwhile():
                devices.remove(device.key, gone, world)
    world.people.delete(user)
    world.count("people_removed")


@contextmanager
def _removed_meanwhile() -> Iterator[None]:
    try:
        yield
    except Refused as refusal:
        if not refusal.code.startswith("unknown_"):
            raise
