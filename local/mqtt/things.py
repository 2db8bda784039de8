"""`anc.ports.Things` with the platform's own certificate authority."""

import re
from collections.abc import Callable, Collection, Sequence

from anc.ports import Credentials
from anc.schemas.claim import CLAIMING
from anc.schemas.refusal import refuse
from local.auth.certificates import Authority
from local.storage.database import Database

# Valid in an X.509 common name and in one level of an MQTT topic.
THING_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class LocalThings:
    """The registry of headset certificates. Private keys are returned once and not stored.

    Parameters
    ----------
    database : Database
    authority : Authority
    port : int
        MQTT port, part of the issued credentials.
    endpoint : str
        Host name or address of the broker, part of the issued credentials.
    """

    def __init__(
        self, database: Database, authority: Authority, port: int, endpoint: str = "127.0.0.1"
    ) -> None:
        self._database = database
        self._authority = authority
        self._port = port
        self._endpoint = endpoint
        self._on_removed: list[Callable[[str], None]] = []
        self._on_revoked: list[Callable[[str], None]] = []
        connection = database.connection
        connection.execute(
            "CREATE TABLE IF NOT EXISTS certificates (id TEXT PRIMARY KEY, thing TEXT NOT NULL) WITHOUT ROWID"
        )
        columns = {row[1] for row in connection.execute("PRAGMA table_info(certificates)")}
        if "active" not in columns:  # certificates of older versions are all active
            connection.execute("ALTER TABLE certificates ADD COLUMN active INTEGER NOT NULL DEFAULT 1")
        connection.execute("CREATE INDEX IF NOT EXISTS certificates_by_thing ON certificates (thing)")

    def create(self, thing: str) -> Credentials:
        """See `anc.ports.Things`. Raises Refused for an invalid name."""
        if not THING_NAME.fullmatch(thing):
            refuse("bad_field", "thing must have 1 to 64 letters, digits, `-` or `_`")
        return self._issue(thing, active=False)

    def issue_claim(self) -> Credentials:
        """Return a claim certificate, with which new headsets obtain their own certificate."""
        return self._issue(CLAIMING, active=True)

    def attach_certificate(self, thing: str, certificate_id: str) -> None:
        """See `anc.ports.Things`. An active certificate cannot be attached to another thing."""
        self._database.connection.execute(
            "INSERT INTO certificates (id, thing, active) VALUES (?, ?, 0)"
            " ON CONFLICT (id) DO UPDATE SET thing = excluded.thing WHERE NOT active",
            (certificate_id, thing),
        )

    def activate(self, thing: str, certificate_id: str) -> None:
        """See `anc.ports.Things`."""
        self._database.connection.execute(
            "UPDATE certificates SET active = 1 WHERE id = ? AND thing = ?", (certificate_id, thing)
        )

    def certificates(self, thing: str) -> Sequence[str]:
        """See `anc.ports.Things`."""
        sql = "SELECT id FROM certificates WHERE thing = ? ORDER BY id"
        return [str(row[0]) for row in self._database.connection.execute(sql, (thing,))]

    def revoke(self, thing: str, certificate_ids: Collection[str]) -> None:
        """See `anc.ports.Things`. The headset may reconnect with another active certificate."""
        if not certificate_ids:
            return
        with self._database.writing() as connection:
            connection.executemany(
                "DELETE FROM certificates WHERE id = ? AND thing = ?",
                [(certificate_id, thing) for certificate_id in certificate_ids],
            )
        for callback in self._on_revoked:
            callback(thing)

    def remove(self, thing: str) -> None:
        """See `anc.ports.Things`."""
        for callback in self._on_removed:
            callback(thing)

    def owner(self, certificate_id: str) -> str | None:
        """Return the thing of an active certificate, or `CLAIMING`; None if revoked or inactive."""
        sql = "SELECT thing FROM certificates WHERE id = ? AND active"
        row = self._database.connection.execute(sql, (certificate_id,)).fetchone()
        return row and str(row[0])

    def owns(self, thing: str, certificate_id: str) -> bool:
        """Return whether this is an active certificate of the thing."""
        return self.owner(certificate_id) == thing

    def on_revoked(self, callback: Callable[[str], None]) -> None:
        """Register `callback(thing)`, called after a revocation in the revoking thread."""
        self._on_revoked.append(callback)

    def on_removed(self, callback: Callable[[str], None]) -> None:
        """Register `callback(thing)`, called after a removal in the removing thread."""
        self._on_removed.append(callback)

    def _issue(self, name: str, active: bool) -> Credentials:
        issued = self._authority.issue(name)
        self._database.connection.execute(
            "INSERT INTO certificates (id, thing, active) VALUES (?, ?, ?)", (issued.id, name, active)
        )
        return Credentials(
            certificate_id=issued.id,
            certificate=issued.certificate,
            private_key=issued.private_key,
            ca=self._authority.certificate,
            endpoint=self._endpoint,
            port=self._port,
        )
