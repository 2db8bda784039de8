"""Records of who may do what, and of who changed it."""

import msgspec

from anc.records import Record, Role


class Account(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The current rights of somebody who may sign in: key is the user id.

    Attributes
    ----------
    name : str
        Sign-in name; empty once removed.
    role : str
        The most that tokens and API keys of this person may do now.
    valid_from : float
        Seconds since the epoch. Tokens issued earlier are refused.
    removed : bool
        Nothing of this person is accepted any more. The record outlives every token and key.
    """

    name: str
    role: Role
    valid_from: float = 0.0
    removed: bool = False


class AuditEntry(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One administrative act: key sorts the newest first. Never holds a secret.

    Attributes
    ----------
    at : float
        Seconds since the epoch.
    user, name : str
        Who acted: user id, and sign-in name at the time.
    api_key : str
        Id of the API key that was used; empty for somebody who signed in.
    action : str
        As `person.remove`; see `anc.services.access.audit.Action`.
    subject : str
        User, key or device concerned.
    detail : dict of str to str
    """

    at: float
    user: str
    name: str
    api_key: str = ""
    action: str
    subject: str
    detail: dict[str, str] = msgspec.field(default_factory=dict)
