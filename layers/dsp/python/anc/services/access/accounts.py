"""Accounts: the current role of each user, against which every token and API key is checked.

Lost rights end within `ReadCache.TTL_S`, whatever role a token names. A user without an account has the
role that the token names: the owner of a machine signs such tokens with `anc token`, and a user pool has
users whose role the platform never changed. The account of a removed user is kept for longer than any of
their tokens and keys is valid.
"""

from collections.abc import Callable

from anc.access_records import Account
from anc.lifetimes import DAY_S, REMOVED_ACCOUNT_DAYS
from anc.ports import Dependencies
from anc.records import Role, User
from anc.schemas.refusal import refuse
from anc.services.updates import retry_or_refuse

LOWEST_ROLE: Role = "listener"


def cached_account(user: str, deps: Dependencies) -> Account | None:
    """Return an account, read at most `ReadCache.TTL_S` ago, or None."""
    return deps.read_cache.read("accounts", user, deps.accounts.get)


def current_account(user: str, deps: Dependencies) -> Account | None:
    """Return an account as it is stored now, or None."""
    deps.read_cache.invalidate("accounts", user)
    return cached_account(user, deps)


def name_of(user: str, deps: Dependencies) -> str:
    """Return the user name of a user id, or the id itself if the name is unknown."""
    account = cached_account(user, deps)
    return (account and account.name) or user


def open_account(person: User, deps: Dependencies) -> None:
    """Create the account of a new user."""
    deps.accounts.put(Account(key=person.user, name=person.name, role=person.role))
    deps.read_cache.invalidate("accounts", person.user)


def limit_account(person: User, role: Role, deps: Dependencies, sign_out: bool = False) -> None:
    """Limit all tokens and API keys of a user to a role.

    Parameters
    ----------
    sign_out : bool
        Also reject every token issued before now.

    Raises
    ------
    Refused
        `conflict` if the user is being removed; `in_flight`.
    """

    def limited(account: Account) -> Account:
        if account.removed:
            refuse("conflict", f"user: {person.user} is being removed; repeat the removal to complete it")
        return account.replace(role=role, valid_from=deps.clock() if sign_out else account.valid_from)

    _change(person, limited, deps)


def close_account(person: User, deps: Dependencies) -> None:
    """Reject every token and API key of a user from now on."""

    def closed(account: Account) -> Account:
        return account.replace(role=LOWEST_ROLE, removed=True, valid_from=deps.clock(), expires=None)

    _change(person, closed, deps)


def delete_account(person: User, deps: Dependencies) -> None:
    """Erase the name of a removed user, and let the account expire after their last credential."""
    expires = deps.clock() + REMOVED_ACCOUNT_DAYS * DAY_S
    _change(person, lambda account: account.replace(name="", expires=expires), deps)


def _change(person: User, change: Callable[[Account], Account], deps: Dependencies) -> None:
    def update() -> None:
        known = deps.accounts.get(person.user)
        account = known or Account(key=person.user, name=person.name, role=person.role)
        try:
            deps.accounts.put(change(account))
        finally:
            deps.read_cache.invalidate("accounts", person.user)

    retry_or_refuse(update, f"user: another request is changing {person.user}; try again")
