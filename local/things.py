"""`anc.ports.Things` on the edition's own certificate authority."""

import re
from collections.abc import Callable

from anc.ports import Credentials
from anc.wire.claim import CLAIMING
from anc.wire.refusal import refuse
from local.certificates import Authority
from local.database import Database

# What may stand in an X.509 common name and in one level of a topic without meaning anything there.
THING_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class LocalThings:
    """The registry of headsets' certificates. It outlives a restart; keys are given out once and not kept.

    Parameters
    ----------
    database : Database
    authority : Authority
    port : int
        Where the broker listens, for the credentials that are handed out.
    """

    def __init__(self, database: Database, authority: Authority, port: int) -> None:
        self._database = database
        self._authority = authority
        self._port = port
        self._told: list[Callable[[str], None]] = []
        self._cutting: list[Callable[[str], None]] = []
        database.connection.execute(
            "CREATE TABLE IF NOT EXISTS certificates (id TEXT PRIMARY KEY, thing TEXT NOT NULL) WITHOUT ROWID"
        )

    def enrol(self, thing: str) -> Credentials:
        """See `anc.ports.Things`. Raises Refused for a name that a topic or certificate cannot carry."""
        if not THING_NAME.fullmatch(thing):
            refuse("bad_field", "thing: 1 to 64 letters, digits, `-` and `_`")
        return self._issue(thing)

    def enrol_factory(self) -> Credentials:
        """Return a claim certificate, with which headsets fresh from the factory come for their own."""
        return self._issue(CLAIMING)

    def admit(self, thing: str, certificate_id: str) -> None:
        """Have a certificate that was signed for a headset be this thing's. Again changes nothing."""
        self._database.connection.execute(
            "INSERT OR IGNORE INTO certificates VALUES (?, ?)", (certificate_id, thing)
        )

    def _issue(self, name: str) -> Credentials:
        issued = self._authority.issue(name)
        self._database.connection.execute("INSERT INTO certificates VALUES (?, ?)", (issued.id, name))
        return Credentials(
            certificate_id=issued.id,
            certificate=issued.certificate,
            private_key=issued.private_key,
            ca=self._authority.certificate,
            endpoint="127.0.0.1",
            port=self._port,
        )

    def retire(self, thing: str, kept: str) -> None:
        """See `anc.ports.Things`. The headset comes back with the certificate that is kept."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM certificates WHERE thing = ? AND id <> ?", (thing, kept))
        for cut in self._cutting:
            cut(thing)

    def revoke(self, thing: str, certificate_id: str) -> None:
        """See `anc.ports.Things`. With the thing go all its certificates, and its live connection."""
        with self._database.writing() as connection:
            connection.execute(
                "DELETE FROM certificates WHERE thing = ?1"
                " AND EXISTS (SELECT 1 FROM certificates WHERE id = ?2 AND thing = ?1)",
                (thing, certificate_id),
            )
            left = connection.execute("SELECT 1 FROM certificates WHERE thing = ?", (thing,)).fetchone()
        if not left:  # said again when a revocation is repeated: the first may have ended before this
            for tell in self._told:
                tell(thing)

    def owner(self, certificate_id: str) -> str | None:
        """Return whose it is: a thing's, or `CLAIMING`; None when it was revoked or never good."""
        sql = "SELECT thing FROM certificates WHERE id = ?"
        row = self._database.connection.execute(sql, (certificate_id,)).fetchone()
        return row and str(row[0])

    def owns(self, thing: str, certificate_id: str) -> bool:
        """Return whether this is a certificate of this thing that was not revoked."""
        return self.owner(certificate_id) == thing

    def when_retired(self, cut: Callable[[str], None]) -> None:
        """Have `cut(thing)` called after certificates were retired, in the retiring thread."""
        self._cutting.append(cut)

    def when_revoked(self, tell: Callable[[str], None]) -> None:
        """Have `tell(thing)` called after each revocation, in the revoking thread."""
        self._told.append(tell)
