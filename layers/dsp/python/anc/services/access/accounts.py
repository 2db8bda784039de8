"""Accounts: what somebody's tokens and keys may still do.

Every token and key is checked against the account of its person, so lost rights end within
`Recent.SECONDS`, whatever a token says. A subject without an account is taken at its token's word: the
owner of a machine signs such tokens with `anc token`, and a user pool has people whom the platform never
changed. A removed person's account is kept for longer than any of their tokens and keys could live, so its
absence never brings anybody back.
"""

from collections.abc import Callable

from anc.access_records import Account
from anc.lifetimes import DAY_S, REMOVED_ACCOUNT_DAYS
from anc.ports import Conflict, Dependencies
from anc.records import Person, Role
from anc.schemas.refusal import refuse

ATTEMPTS = 3
LEAST: Role = "listener"


def cached_account(user: str, deps: Dependencies) -> Account | None:
    """Return an account as it was at most `Recent.SECONDS` ago, or None."""
    return deps.read_cache.read("accounts", user, deps.accounts.get)


def current_account(user: str, deps: Dependencies) -> Account | None:
    """Return an account as it is now, or None."""
    deps.read_cache.forget("accounts", user)
    return cached_account(user, deps)


def name_of(user: str, deps: Dependencies) -> str:
    """Return the sign-in name of somebody, or the user id where none is known."""
    account = cached_account(user, deps)
    return (account and account.name) or user


def open_account(person: Person, deps: Dependencies) -> None:
    """Note the rights of somebody who was just added."""
    deps.accounts.put(Account(key=person.user, name=person.name, role=person.role))
    deps.read_cache.forget("accounts", person.user)


def limit_account(person: Person, role: Role, deps: Dependencies, sign_out: bool = False) -> None:
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
        return account.replace(role=role, valid_from=deps.clock() if sign_out else account.valid_from)

    _change(person, limited, deps)


def close_account(person: Person, deps: Dependencies) -> None:
    """Refuse every token and key of somebody from now on."""
    _change(
        person,
        lambda account: account.replace(role=LEAST, removed=True, valid_from=deps.clock(), expires=None),
        deps,
    )


def delete_account(person: Person, deps: Dependencies) -> None:
    """Forget the name of somebody who was removed, and the rest once nothing of theirs could be valid."""
    expires = deps.clock() + REMOVED_ACCOUNT_DAYS * DAY_S
    _change(person, lambda account: account.replace(name="", expires=expires), deps)


def _change(person: Person, change: Callable[[Account], Account], deps: Dependencies) -> None:
    for _ in range(ATTEMPTS):
        known = deps.accounts.get(person.user)
        account = known or Account(key=person.user, name=person.name, role=person.role)
        try:
            deps.accounts.put(change(account))
        except Conflict:
            continue
        finally:
            deps.read_cache.forget("accounts", person.user)
        return
    refuse("in_flight", f"user: {person.user} is being changed by somebody else; try again")
