"""The audit log: who changed people, keys, certificates, privacy and firmware.

An entry is written before the act: if it cannot be written, nothing is done. So an entry may stand for an
act that was refused or broken off afterwards. Entries are only ever added; they expire after
`AUDIT_DAYS`.
"""

import secrets
from collections.abc import Sequence
from typing import Literal

from anc.access_records import AuditEntry
from anc.lifetimes import AUDIT_DAYS, DAY_S
from anc.ports import Dependencies
from anc.services.access import accounts
from anc.services.access.identity import Caller
from anc.tables import Table

GROUP = "audit"
NEWEST_FIRST = 10**14  # milliseconds: keys count down from the year 5138

Action = Literal[
    "person.create",
    "person.role",
    "person.remove",
    "key.create",
    "key.revoke",
    "device.register",
    "device.expect",
    "device.claim",
    "device.credentials",
    "device.remove",
    "device.privacy",
    "device.firmware",
    "signing_key.rotate",
]


def record(action: Action, subject: str, caller: Caller, deps: Dependencies, **detail: str) -> None:
    """Write down what `caller` is about to do. `detail` must hold no secret."""
    name = accounts.name_of(caller.user, deps)
    write(deps.audit, action, subject, caller, name, deps.clock(), detail)
    deps.count("audit_entries")


def write(
    table: Table[AuditEntry],
    action: Action,
    subject: str,
    caller: Caller,
    name: str,
    at: float,
    detail: dict[str, str],
) -> None:
    """Add an entry to a table."""
    table.put(
        AuditEntry(
            key=f"{NEWEST_FIRST - int(at * 1000):014d}-{secrets.token_hex(4)}",
            group=GROUP,
            expires=at + AUDIT_DAYS * DAY_S,
            at=at,
            user=caller.user,
            name=name,
            api_key=caller.key,
            action=action,
            subject=subject,
            detail=detail,
        )
    )


def list_all(limit: int, after: str, deps: Dependencies) -> Sequence[AuditEntry]:
    """Return entries, the newest first, from the first key > `after` on."""
    return deps.audit.list(GROUP, limit, after)
