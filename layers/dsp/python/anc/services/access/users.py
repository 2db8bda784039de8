"""Users: sign in, create, change the role, and remove with everything that they own."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from anc.ports import CodeRequired, Conflict, Dependencies, Grant
from anc.records import Role, User
from anc.schemas.refusal import Refused, refuse
from anc.services import connections
from anc.services.access import accounts, api_keys, audit
from anc.services.access.identity import Caller
from anc.services.headsets import devices
from anc.services.sound import jobs, sessions

ME = "me"  # in a path: the caller
ATTEMPTS_PER_NAME = 20  # per minute, from all addresses together
CODES_PER_NAME = 5  # per minute: of a million codes, three are accepted at a time


def sign_in(name: str, password: str, deps: Dependencies, code: str = "") -> Grant:
    """Return a bearer token.

    Raises
    ------
    Refused
        `unauthorized` for a wrong user name, password or code alike; `code_required` if the password is right
        and the user has a second factor; `too_many` if the name was tried too often, by whomever and whether
        or not it exists. The limit of attempts per address is that of the endpoint.
    """
    limit_attempts(name, code, deps)
    try:
        grant = deps.users.sign_in(name, password, code)
    except CodeRequired as missing:
        raise Refused("code_required", "code: enter the six digits of your authenticator app") from missing
    account = deps.accounts.get(grant.user) if grant else None
    if grant is None or (account and account.removed):
        deps.count("sign_ins_refused")
        refuse("unauthorized", "username, password or code: wrong, or another step is required to sign in")
    deps.count("sign_ins")
    return grant


def limit_attempts(name: str, code: str, deps: Dependencies) -> None:
    """Count an attempt to sign in with a name. Raises Refused: `too_many`."""
    # Hashed, because limits are stored where no other personal data is.
    account = hashlib.sha256(name.strip().casefold().encode()).hexdigest()[:32]
    limits = [("sign-in", ATTEMPTS_PER_NAME), *([("sign-in code", CODES_PER_NAME)] if code else [])]
    for what, limit in limits:
        per_minute = max(1, round(limit * deps.settings.rate_limit_scale))
        wait_s = deps.limits.wait_s(what, f"name {account}", per_minute)
        if wait_s:
            deps.count("sign_ins_limited")
            message = f"username: at most {per_minute} attempts per minute; try again in {wait_s} s"
            raise Refused("too_many", message, wait_s=wait_s)


def create(name: str, password: str, role: Role, caller: Caller, deps: Dependencies) -> User:
    """Create a user. Raises Refused: `exists`, or `bad_field` if the password is too simple."""
    if name == ME:
        refuse("exists", "username: `me` is reserved for the caller")
    audit.record("person.create", name, caller, deps, role=role)
    try:
        person = deps.users.create(name, password, role)
    except Conflict as taken:
        raise Refused("exists", "username: is taken") from taken
    accounts.open_account(person, deps)
    deps.count("people_created")
    return person


def find(user: str, deps: Dependencies) -> User:
    """Return a user. Raises Refused: `unknown_user`."""
    return deps.users.get(user) or refuse("unknown_user", f"user: {user} does not exist")


def list_all(limit: int, after: str, deps: Dependencies) -> tuple[Sequence[User], str]:
    """Return a page of users, and the value of `after` for the next page."""
    return deps.users.list(limit, after)


def set_role(user: str, role: Role, caller: Caller, deps: Dependencies) -> User:
    """Change the role of a user.

    A promotion takes effect with the next token. A demotion takes effect at once: earlier tokens are
    rejected, and sockets and API keys with a higher role are closed and revoked. After an interruption the
    user has at most the former role, and the same call completes the change.

    Raises
    ------
    Refused
        `unknown_user`; `conflict` if the user is being removed; `in_flight`.
    """
    person = find(user, deps)
    audit.record("person.role", user, caller, deps, name=person.name, before=person.role, role=role)
    demoted = not Caller(user, role).may(person.role)
    if demoted:
        accounts.limit_account(person, role, deps, sign_out=True)
    try:
        deps.users.set_role(user, role)
    except LookupError as gone:
        raise Refused("unknown_user", f"user: {user} has just been removed") from gone
    if not demoted:
        accounts.limit_account(person, role, deps)
    # Also after a promotion: this may complete an interrupted demotion.
    api_keys.revoke_all(user, deps, above=role)
    connections.close_all(user, deps, above=role)
    return User(user=user, name=person.name, role=role, created=person.created)


def remove(user: str, caller: Caller, deps: Dependencies) -> None:
    """Remove a user with their API keys, sockets, sessions, recordings and headsets.

    The account is closed first, so that no token, key, socket or link of the user works from then on, and the
    user is deleted last. After an interruption, such as a timeout, the same call completes the removal.
    Headsets are removed, not transferred. Emergencies stay, invisible, until they expire.

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
    owner = Caller(user)
    while streams := sessions.list_own(owner, deps):
        for stream in streams:
            with _ignore_unknown():
                sessions.end(stream.key, owner, deps)
    while recordings := jobs.list_own(owner, deps):
        for job in recordings:
            with _ignore_unknown():
                jobs.remove(job.key, owner, deps)
    while page := devices.list_own(owner, deps):
        for device in page:
            with _ignore_unknown():
                devices.remove(device.key, caller, deps)
    accounts.delete_account(person, deps)
    deps.users.delete(user)
    deps.count("people_removed")


@contextmanager
def _ignore_unknown() -> Iterator[None]:
    try:
        yield
    except Refused as refusal:
        if not refusal.code.startswith("unknown_"):
            raise
