"""Accounts: what somebody's tokens and keys may still do.

Every token and key is checked against the account of its person, so lost rights end within
`Recent.SECONDS`, whatever a token says. A subject without an account is taken at its token's word: the
owner of a machine signs such tokens with `anc token`, and a user pool has people whom the platform never
changed. A removed person's account is kept for longer than any of their tokens and keys could live, so its
absence never brings anybody back.
"""

from collections.abc import Callable

from anc.lifetimes import DAY_S, REMOVED_KEPT_DAYS
from anc.ports import Conflict, World
from anc.records import Person, Role
from anc.rights import Account
from anc.wire.refusal import refuse

ATTEMPTS = 3
LEAST: Role = "listener"


def recent(user: str, world: World) -> Account | None:
    """Return an account as it was at most `Recent.SECONDS` ago, or None."""
    return world.recent.read("accounts", user, world.accounts.get)


def latest(user: str, world: World) -> Account | None:
    """Return an account as it is now, or None."""
    world.recent.forget("accounts", user)
    return recent(user, world)


def name_of(user: str, world: World) -> str:
    """Return the sign-in name of somebody, or the user id where none is known."""
    account = recent(user, world)
    return (account and account.name) or user


def open_account(person: Person, world: World) -> None:
    """Note the rights of somebody who was just added."""
    world.accounts.put(Account(key=person.user, name=person.name, role=person.role))
    world.recent.forget("accounts", person.user)


def limit(person: Person, role: Role, world: World, sign_out: bool = False) -> None:
    """Let tokens and keys of somebody do no more than `role`.

    Parameters
    ----------
    sign_out : bool
        Also refuse every token issued before now.

    Raises
    ------
    Refused
        `conflict` when the person is being removed, `in_flight`.
    """

    def limited(account: Account) -> Account:
        if account.removed:
            refuse("conflict", f"user: {person.user} is being removed; repeat the removal to finish it")
        return account.but(role=role, valid_from=world.clock() if sign_out else account.valid_from)

    _change(person, limited, world)


def close_account(person: Person, world: World) -> None:
    """Refuse every token and key of somebody from now on."""
    _change(
        person,
        lambda account: account.but(role=LEAST, removed=True, valid_from=world.clock(), expires=None),
        world,
    )


def bury(person: Person, world: World) -> None:
    """Forget the name of somebody who was removed, and the rest once nothing of theirs could be valid."""
    expires = world.clock() + REMOVED_KEPT_DAYS * DAY_S
    _change(person, lambda account: account.but(name="", expires=expires), world)


def _change(person: Person, change: Callable[[Account], Account], world: World) -> None:
    for _ in range(ATTEMPTS):
        known = world.accounts.get(person.user)
        account = known or Account(key=person.user, name=person.name, role=person.role)
        try:
            world.accounts.put(change(account))
        except Conflict:
            continue
        finally:
            world.recent.forget("accounts", person.user)
        return
    refuse("in_flight", f"user: {person.user} is being changed by somebody else; try again")
