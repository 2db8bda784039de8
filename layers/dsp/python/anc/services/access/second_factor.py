"""The second factor of a user: codes of an authenticator app. Each user decides whether to have one.

Users set it up with their password, so that a stolen token is not enough. Only admins remove it: for a user
who lost the app.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import quote

from anc.ports import CodeRequired, Dependencies
from anc.schemas.refusal import Refused, refuse
from anc.services.access import audit, users
from anc.services.access.identity import Caller

ISSUER = "ANC Platform"  # name of the entry in the app


class Secret(NamedTuple):
    """The secret for an authenticator app: in base32, and as the address that such apps read."""

    secret: str
    uri: str


def begin(password: str, caller: Caller, deps: Dependencies) -> Secret:
    """Return a new secret, which counts once a code of it is confirmed.

    Raises
    ------
    Refused
        `bad_field` for a wrong password, `exists` if there is a second factor, `too_many`, `unknown_user`.
    """
    name = _limited_name(caller, "", deps)
    with _refusing_another():
        secret = deps.users.begin_second_factor(name, password)
    if secret is None:
        refuse("bad_field", "password: wrong")  # not 401, after which clients discard their token
    label = f"{quote(ISSUER)}:{quote(name, safe='@')}"
    return Secret(secret, f"otpauth://totp/{label}?secret={secret}&issuer={quote(ISSUER)}")


def confirm(password: str, code: str, caller: Caller, deps: Dependencies) -> None:
    """Require a code at every sign-in from now on, if this is a code of the new secret.

    Raises
    ------
    Refused
        `bad_field` for a wrong password or code, `exists`, `too_many`, `unknown_user`.
    """
    name = _limited_name(caller, code, deps)
    audit.record("second_factor.enable", caller.user, caller, deps, name=name)
    with _refusing_another():
        confirmed = deps.users.confirm_second_factor(name, password, code)
    if not confirmed:
        refuse("bad_field", "code: wrong, or the password is; request a new secret if they stay wrong")


def remove(user: str, caller: Caller, deps: Dependencies) -> None:
    """Let a user sign in with the password alone again. Raises Refused: `unknown_user`."""
    person = users.find(user, deps)
    audit.record("second_factor.remove", user, caller, deps, name=person.name)
    deps.users.remove_second_factor(user)


def _limited_name(caller: Caller, code: str, deps: Dependencies) -> str:
    """Return the name of the caller, and count an attempt with it."""
    name = users.find(caller.user, deps).name
    users.limit_attempts(name, code, deps)
    return name


@contextmanager
def _refusing_another() -> Iterator[None]:
    try:
        yield
    except CodeRequired as another:
        message = "second factor: you have one; an admin can remove it"
        raise Refused("exists", message) from another
