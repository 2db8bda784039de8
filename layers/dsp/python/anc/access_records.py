"""Stored records of accounts and of the audit log."""

import msgspec

from anc.records import Record, Role


class Account(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The current rights of a user. The key is the user id.

    Attributes
    ----------
    name : str
        Sign-in name; empty after removal.
    role : str
        Upper limit for the role of the user's tokens and API keys.
    valid_from : float
        Seconds since the epoch. Tokens issued earlier are rejected.
    removed : bool
        Whether all tokens and API keys are rejected. The record is kept longer than they are valid.
    """

    name: str
    role: Role
    valid_from: float = 0.0
    removed: bool = False


class AuditEntry(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One entry of the audit log. Its key sorts the newest first. It contains no secrets.

    Attributes
    ----------
    at : float
        Seconds since the epoch.
    user, name : str
        User id and, at the time of the action, sign-in name.
    api_key : str
        Id of the API key that was used; empty for a token.
    action : str
        Such as `person.remove`; see `anc.services.access.audit.Action`.
    subject : str
        User, API key or device concerned.
    detail : dict of str to str
    """

    at: float
    user: str
    name: str
    api_key: str = ""
    action: str
    subject: str
    detail: dict[str, str] = msgspec.field(default_factory=dict)
