"""The people who may sign in, and what becomes of their things when they may no more."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from anc.ports import Conflict, Dependencies, Grant
from anc.records import Person, Role
from anc.schemas.refusal import Refused, refuse
from anc.services import connections
from anc.services.access import accounts, api_keys, audit
from anc.services.access.identity import Caller
from anc.services.headsets import devices
from anc.services.sound import jobs, sessions

ME = "me"  # in a path, whoever calls


def sign_in(name: str, password: str, deps: Dependencies) -> Grant:
    """Return a bearer token. Raises Refused, `unauthorized`, which does not say what was wrong."""
    grant = deps.people.sign_in(name, password)
    account = deps.accounts.get(grant.user) if grant else None
    if grant is None or (account and account.removed):
        deps.count("sign_ins_refused")
        refuse("unauthorized", "username or password: wrong, or more is needed to sign in")
    deps.count("sign_ins")
    return grant


def create(name: str, password: str, role: Role, caller: Caller, deps: Dependencies) -> Person:
    """Add a person. Raises Refused: `exists`, or `bad_field` for a password that is too simple."""
    if name == ME:
        refuse("exists", "username: `me` is whoever asks")
    audit.record("person.create", name, caller, deps, role=role)
    try:
        person = deps.people.create(name, password, role)
    except Conflict as taken:
        raise Refused("exists", "username: taken") from taken
    accounts.open_account(person, deps)
    deps.count("people_created")
    return person


def find(user: str, deps: Dependencies) -> Person:
    """Return a person. Raises Refused: `unknown_user`."""
    return deps.people.get(user) or refuse("unknown_user", f"user: there is no {user}")


def list_all(limit: int, after: str, deps: Dependencies) -> tuple[Sequence[Person], str]:
    """Return a page of people, and what to ask `after` for the next one."""
    return deps.people.list(limit, after)


def set_role(user: str, role: Role, caller: Caller, deps: Dependencies) -> Person:
    """Let a person do more or less.

    More, from their next token on. Less, at once: tokens issued before are refused, and sockets and keys
    that may do more are closed and revoked. Cut short anywhere, nobody may do more than before, and the same
    call finishes it.

    Raises
    ------
    Refused
        `unknown_user`; `conflict` when the person is being removed; `in_flight`.
    """
    person = find(user, deps)
    audit.record("person.role", user, caller, deps, name=person.name, before=person.role, role=role)
    demoted = not Caller(user, role).may(person.role)
    if demoted:
        accounts.limit_account(person, role, deps, sign_out=True)
    try:
        deps.people.set_role(user, role)
    except LookupError as gone:
        raise Refused("unknown_user", f"user: {user} was removed just now") from gone
    if not demoted:
        accounts.limit_account(person, role, deps)
    # In any case: it may be a demotion repeated, of which only this was left to do.
    api_keys.revoke_all(user, deps, above=role)
    connections.close_all(user, deps, above=role)
    return Person(user=user, name=person.name, role=role, created=person.created)


def remove(user: str, caller: Caller, deps: Dependencies) -> None:
    """Remove a person with their keys, sockets, sessions, recordings and headsets.

    The account is closed first, so that no token, key, socket or link of theirs works from then on, and the
    person deleted last. Cut short anywhere, as by the time limit of a function, the same call finishes it.
    Headsets are removed, not handed on. Emergencies stay until they expire, visible to nobody.

    Raises
    ------
    Refused
        `unknown_user`, `in_flight`.
    """
    person = find(user, deps)
    audit.record("person.remove", user, caller, deps, name=person.name, role=person.role)
    accounts.close_account(person, deps)
    api_keys.revoke_all(user, deps)
    connections.close_all(user, deps)
    gone = Caller(user)
    while streams := sessions.list_own(gone, deps):
        for stream in streams:
            with _removed_meanwhile():
                sessions.end(stream.key, gone, deps)
    while recordings := jobs.list_own(gone, deps):
        for job in recordings:
            with _removed_meanwhile():
                jobs.remove(job.key, gone, deps)
    while page := devices.list_own(gone, deps):
        for device in page:
            with _removed_meanwhile():
                devices.remove(device.key, caller, deps)
    accounts.delete_account(person, deps)
    deps.people.delete(user)
    deps.count("people_removed")


@contextmanager
def _removed_meanwhile() -> Iterator[None]:
    try:
        yield
    except Refused as refusal:
        if not refusal.code.startswith("unknown_"):
            raise
