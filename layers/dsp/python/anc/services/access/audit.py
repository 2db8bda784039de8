"""The audit log: who changed users, keys, certificates, privacy, firmware, rollouts and emergencies.

An entry is written before the action, which fails if the entry cannot be written. An entry may therefore
describe an action that was refused or interrupted. Entries are never changed; they expire after `AUDIT_DAYS`.
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
NEWEST_FIRST = 10**14  # milliseconds; keys count down, so that they sort newest first

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
    "device.rename",
    "device.tags",
    "device.remove",
    "device.privacy",
    "device.firmware",
    "rollout.create",
    "rollout.pause",
    "rollout.resume",
    "rollout.cancel",
    "rollout.stop",
    "emergency.acknowledge",
    "emergency.comment",
    "second_factor.enable",
    "second_factor.remove",
    "signing_key.rotate",
]


def record(action: Action, subject: str, caller: Caller, deps: Dependencies, **detail: str) -> None:
    """Add an entry for an action that `caller` is about to take. `detail` must not contain secrets."""
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
    """Return up to `limit` entries with a key greater than `after`, newest first."""
    return deps.audit.list(GROUP, limit, after)
