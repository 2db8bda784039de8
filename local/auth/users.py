"""`anc.ports.Users` on SQLite: passwords hashed with argon2id, tokens from the platform's own issuer."""

import time
import uuid
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from anc.lifetimes import HOUR_S, SIGN_IN_TOKEN_HOURS
from anc.ports import CodeRequired, Conflict, Grant
from anc.records import Role, User
from local.auth import totp
from local.auth.issuer import Issuer
from local.storage.database import Database

COLUMNS = "user, name, role, created"
# Columns that later versions added. `totp` is the secret of the second factor, `totp_pending` one that is not
# confirmed yet, and `totp_step` the time step of the last code, so that no code is accepted twice.
ADDED = {"user": "TEXT", "totp": "TEXT", "totp_pending": "TEXT", "totp_step": "INTEGER NOT NULL DEFAULT 0"}


class _Verified(NamedTuple):
    """A user whose password was right."""

    role: Role
    user: str
    totp: str | None
    pending: str | None


class LocalUsers:
    """The users of the local platform. Use `anc token --role admin` to create the first one.

    `user` is a random id. Users of versions without ids have their name as id.
    """

    def __init__(self, database: Database, issuer: Issuer, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._issuer = issuer
        self._hasher = PasswordHasher()
        with database.writing() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS people (name TEXT PRIMARY KEY, role TEXT NOT NULL,"
                " hash TEXT NOT NULL, created REAL NOT NULL, user TEXT) WITHOUT ROWID"
            )
            columns = [row[1] for row in connection.execute("PRAGMA table_info(people)")]
            for name in ADDED.keys() - set(columns):
                connection.execute(f"ALTER TABLE people ADD COLUMN {name} {ADDED[name]}")
            connection.execute("UPDATE people SET user = name WHERE user IS NULL")
            connection.execute("CREATE UNIQUE INDEX IF NOT EXISTS people_by_user ON people (user)")

    def sign_in(self, name: str, password: str, code: str = "") -> Grant | None:
        """See `anc.ports.Users`. Takes the same time for an unknown name."""
        found = self._verified(name, password)
        if found is None:
            return None
        if found.totp:
            if not code:
                raise CodeRequired(name)
            if not self._use(found.user, found.totp, code):
                return None
        token = self._issuer.issue(found.user, found.role, SIGN_IN_TOKEN_HOURS)
        return Grant(token, int(HOUR_S * SIGN_IN_TOKEN_HOURS), found.role, found.user)

    def begin_second_factor(self, name: str, password: str) -> str | None:
        """See `anc.ports.Users`."""
        found = self._verified(name, password)
        if found is None:
            return None
        if found.totp:
            raise CodeRequired(name)
        secret = totp.new_secret()
        sql = "UPDATE people SET totp_pending = ? WHERE user = ?"
        self._database.connection.execute(sql, (secret, found.user))
        return secret

    def confirm_second_factor(self, name: str, password: str, code: str) -> bool:
        """See `anc.ports.Users`."""
        found = self._verified(name, password)
        if found is None:
            return False
        if found.totp:
            raise CodeRequired(name)
        if not found.pending or not self._use(found.user, found.pending, code):
            return False
        sql = "UPDATE people SET totp = totp_pending, totp_pending = NULL WHERE user = ? AND totp_pending = ?"
        return self._database.connection.execute(sql, (found.user, found.pending)).rowcount == 1

    def remove_second_factor(self, user: str) -> None:
        """See `anc.ports.Users`."""
        self._database.connection.execute("UPDATE people SET totp = NULL WHERE user = ?", (user,))

    def _verified(self, name: str, password: str) -> "_Verified | None":
        """Return the user with this name and password."""
        dummy_hash = self._dummy_hash  # computed for every caller, so that the first call leaks nothing
        sql = "SELECT hash, role, user, totp, totp_pending FROM people WHERE name = ?"
        row = self._database.connection.execute(sql, (name,)).fetchone()
        stored, *found = row or (dummy_hash,)
        try:
            self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return None
        return _Verified(*found) if found else None

    def _use(self, user: str, secret: str, code: str) -> bool:
        """Accept a code once: neither it nor an earlier one is accepted again."""
        step = totp.matching_step(secret, code, self._clock())
        sql = "UPDATE people SET totp_step = ? WHERE user = ? AND totp_step < ?"
        return step is not None and self._database.connection.execute(sql, (step, user, step)).rowcount == 1

    @cached_property
    def _dummy_hash(self) -> str:
        return self._hasher.hash("no password")

    def create(self, name: str, password: str, role: Role) -> User:
        """See `anc.ports.Users`."""
        person = User(user=str(uuid.uuid4()), name=name, role=role, created=time.time())
        done = self._database.connection.execute(
            f"INSERT INTO people ({COLUMNS}, hash) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",  # noqa: S608
            (person.user, name, role, person.created, self._hasher.hash(password)),
        )
        if done.rowcount == 0:
            raise Conflict(name)
        return person

    def get(self, user: str) -> User | None:
        """See `anc.ports.Users`."""
        sql = f"SELECT {COLUMNS} FROM people WHERE user = ?"  # noqa: S608
        row = self._database.connection.execute(sql, (user,)).fetchone()
        return _person(*row) if row else None

    def list(self, limit: int = 50, after: str = "") -> tuple[Sequence[User], str]:
        """See `anc.ports.Users`."""
        sql = f"SELECT {COLUMNS} FROM people WHERE name > ? ORDER BY name LIMIT ?"  # noqa: S608
        users = [_person(*row) for row in self._database.connection.execute(sql, (after, limit + 1))]
        page = users[:limit]
        return page, page[-1].name if len(users) > limit else ""

    def set_role(self, user: str, role: Role) -> None:
        """See `anc.ports.Users`."""
        sql = "UPDATE people SET role = ? WHERE user = ?"
        if self._database.connection.execute(sql, (role, user)).rowcount == 0:
            raise LookupError(user)

    def delete(self, user: str) -> None:
        """See `anc.ports.Users`."""
        self._database.connection.execute("DELETE FROM people WHERE user = ?", (user,))


def _person(user: str, name: str, role: Role, created: float) -> User:
    return User(user=user, name=name, role=role, created=created)
