"""`anc keys`: the keys that the platform on this machine signs tokens with."""

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
    """Manage the keys that sign tokens."""


@app.command()
def rotate(
    data: Data = DEFAULT_DATA,
    at_once: Annotated[
        bool, typer.Option(help="Also end every token that earlier keys signed, as after a leak.")
    ] = False,
    json: Json = False,
) -> None:
    """Sign tokens with a new key; tokens issued before stay valid until they expire.

    A platform that runs on the folder goes on and notices by itself.
    """
    from anc.access_records import AuditEntry
    from anc.services.access import audit
    from anc.services.access.identity import Caller
    from local.auth.issuer import Issuer
    from local.storage.database import Database
    from local.storage.tables import SqliteTable

    given = settings()
    require_platform(data)
    table = SqliteTable(Database(data / "anc.db"), "audit", AuditEntry)
    owner = Caller("machine owner")
    detail = {"at_once": str(at_once).lower()}
    audit.write(table, "signing_key.rotate", "tokens", owner, getpass.getuser(), time.time(), detail)
    kid, until = Issuer(data, given).rotate(at_once)
    if json:
        print(dumps({"kid": kid, "earlier_keys_until": until}))
    elif at_once:
        print(f"tokens are signed with key {kid}; earlier ones are refused: everybody signs in again")
    else:
        ends = datetime.fromtimestamp(until, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
        print(f"tokens are signed with key {kid}; earlier ones are valid until they expire, by {ends}")
