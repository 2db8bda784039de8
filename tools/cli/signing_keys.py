"""`anc keys`: manage the token signing keys of the platform on this machine."""

import getpass
import time
from datetime import UTC, datetime
from json import dumps
from typing import Annotated

import typer

from local.data_folder import require_platform
from tools.cli.terminal import DEFAULT_DATA, Data, Json, settings

app = typer.Typer(no_args_is_help=True)


@app.callback()
def keys() -> None:
    """Manage the token signing keys."""


@app.command()
def rotate(
    data: Data = DEFAULT_DATA,
    at_once: Annotated[
        bool, typer.Option(help="Also invalidate all existing tokens, for example after a leak.")
    ] = False,
    json: Json = False,
) -> None:
    """Create a new signing key. Existing tokens stay valid until they expire.

    A running platform picks up the new key without a restart.
    """
    from anc.access_records import AuditEntry
    from anc.services.access import audit
    from anc.services.access.identity import Caller
    from local.auth.issuer import Issuer
    from local.storage.database import Database
    from local.storage.tables import SqliteTable

    current = settings()
    require_platform(data)
    table = SqliteTable(Database(data / "anc.db"), "audit", AuditEntry)
    owner = Caller("machine owner")
    detail = {"at_once": str(at_once).lower()}
    audit.write(table, "signing_key.rotate", "tokens", owner, getpass.getuser(), time.time(), detail)
    kid, until = Issuer(data, current).rotate(at_once)
    if json:
        print(dumps({"kid": kid, "earlier_keys_until": until}))
    elif at_once:
        print(f"New signing key: {kid}. All earlier tokens are invalid; users must sign in again.")
    else:
        ends = datetime.fromtimestamp(until, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
        print(f"New signing key: {kid}. Earlier tokens stay valid until they expire, at the latest {ends}.")
