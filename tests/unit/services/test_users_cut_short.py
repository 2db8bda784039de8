"""Removal and demotion of users, interrupted after each step and repeated."""

import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from anc.ports import Dependencies
from anc.records import SocketConnection, User, Watch
from anc.schemas.refusal import Refused
from anc.schemas.websocket import Start
from anc.services.access import api_keys, identity, users
from anc.services.access.identity import Caller
from anc.services.headsets import devices
from anc.services.sound import jobs, sessions
from tests.fakes import Clock, FakePlatform, make_dependencies

ROOT = Caller("root", "admin")
PASSWORD = "correct horse battery"
PORTS = ("accounts", "audit", "api_keys", "connections", "watches", "streams", "jobs", "objects", "devices")
PORTS += ("controls", "telemetry", "statuses", "things", "sockets", "users")
READS = ("get", "list", "about")


class Cut(Exception):
    """The power went."""


class Breaking:
    """A port that does what it is asked, until the power goes: right after the step of that number."""

    def __init__(self, port: Any, steps: Iterator[bool]) -> None:
        self._port = port
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name in READS or not callable(method):
            return method

        def step(*arguments: Any, **options: Any) -> Any:
            answer = method(*arguments, **options)
            if next(self._steps):
                raise Cut
            return answer

        return step


def breaking(deps: Dependencies, after: int) -> Dependencies:
    """Return dependencies that raise after this number of writes."""
    steps = (number == after for number in range(1, 10_000))
    assert set(PORTS) <= {field.name for field in fields(deps)}
    return replace(deps, **{name: Breaking(getattr(deps, name), steps) for name in PORTS})


class Ada:
    """Somebody with one of everything."""

    def __init__(self, platform: FakePlatform) -> None:
        self.platform = platform
        # Tokens go by the clock on the wall, which the platform must agree with.
        self.deps = deps = replace(platform.deps, clock=time.time)
        self.person: User = users.create("ada", PASSWORD, "operator", ROOT, deps)
        self.user = self.person.user
        self.token = users.sign_in("ada", PASSWORD, deps).token
        self.caller = identity.verify(self.token, deps)
        self.keys = {role: api_keys.create("robot", role, 365, self.caller, deps)[1] for role in ROLES}
        self.session = sessions.open_session(Start(), self.caller, deps).key
        self.job = jobs.create(jobs.UploadRequest(5), self.caller, deps).job
        deps.objects.put(f"uploads/{self.job}", b"sound")
        for thing in ("left", "right"):
            request = devices.Registration(thing=thing, secondary=[0.0, 0.5])
            devices.register(request, self.caller, deps)
        connection = SocketConnection(
            key="socket", group=self.user, role="operator", watching=("left", "foreign")
        )
        deps.connections.put(connection)
        for device in connection.watching:
            deps.watches.put(Watch(key=f"{device}#socket", group=device, connection="socket"))

    def role_of(self, secret: str) -> str:
        """Return what a token or key may do, or "" when it is refused."""
        try:
            return identity.verify(secret, self.deps).role
        except Refused:
            return ""

    def left_behind(self) -> list[Any]:
        """Return what there is of hers."""
        deps = self.deps
        tables = (deps.api_keys, deps.connections, deps.streams, deps.jobs, deps.devices)
        found = [record for table in tables for record in table.list(self.user)]
        found += [watch for device in ("left", "foreign") for watch in deps.watches.list(device)]
        return found + [each for each in [deps.objects.get(f"uploads/{self.job}")] if each]


ROLES = ("listener", "operator")


@pytest.fixture
def ada(tmp_path: Path) -> Ada:
    return Ada(make_dependencies(tmp_path, Clock(time.time())))


def cut_short_after_each_step(act: Callable[[Dependencies], Any], deps: Dependencies) -> Iterator[int]:
    """Do something again and again, each time getting one step further; yield how far, until it is done."""
    after = 0
    while True:
        after += 1
        try:
            act(breaking(deps, after))
        except Cut:
            yield after
        else:
            return


def test_a_removal_cut_short_anywhere_is_finished_by_repeating_it(ada: Ada) -> None:
    steps = 0
    for steps in cut_short_after_each_step(lambda deps: users.remove(ada.user, ROOT, deps), ada.deps):
        if steps >= 2:  # the audit entry is written, the account closed
            assert ada.role_of(ada.token) == ""
            assert [ada.role_of(key) for key in ada.keys.values()] == ["", ""]
            with pytest.raises(Refused, match="username, password or code"):
                users.sign_in("ada", PASSWORD, ada.deps)
        if not ada.deps.users.get(ada.user):
            break  # deleted last: nothing is left to finish
    assert steps > 2
    assert ada.deps.users.get(ada.user) is None
    assert ada.left_behind() == []
    assert "socket" in ada.platform.sockets.closed
    assert {name for name in ada.platform.things.revoked if name.startswith("cert-")} == {
        "cert-left-1",
        "cert-right-2",
    }


@pytest.mark.parametrize("after", range(1, 40))
def test_one_repetition_finishes_a_removal_wherever_it_was_cut_short(ada: Ada, after: int) -> None:
    try:
        users.remove(ada.user, ROOT, breaking(ada.deps, after))
    except Cut:
        if ada.deps.users.get(ada.user):
            users.remove(ada.user, ROOT, ada.deps)
    assert ada.deps.users.get(ada.user) is None
    assert ada.left_behind() == []
    assert ada.role_of(ada.token) == ""


@pytest.mark.parametrize("after", range(1, 14))
def test_a_demotion_cut_short_anywhere_lets_nobody_do_more_and_is_finished_by_repeating_it(
    ada: Ada, after: int
) -> None:
    try:
        users.set_role(ada.user, "listener", ROOT, breaking(ada.deps, after))
    except Cut:
        if after >= 2:
            assert ada.role_of(ada.token) == ""
            assert ada.role_of(ada.keys["operator"]) in ("", "listener")
            assert ada.role_of(users.sign_in("ada", PASSWORD, ada.deps).token) == "listener"
        users.set_role(ada.user, "listener", ROOT, ada.deps)
    assert ada.role_of(ada.token) == ""
    assert {role: ada.role_of(key) for role, key in ada.keys.items()} == {
        "listener": "listener",
        "operator": "",
    }
    assert ada.platform.sockets.closed
    assert ada.deps.connections.list(ada.user) == []
    assert ada.role_of(users.sign_in("ada", PASSWORD, ada.deps).token) == "listener"


@pytest.mark.parametrize("after", range(1, 4))
def test_a_promotion_cut_short_anywhere_gives_nothing_until_it_is_repeated(ada: Ada, after: int) -> None:
    with pytest.raises(Cut):
        users.set_role(ada.user, "admin", ROOT, breaking(ada.deps, after))
    if after < 3:
        assert ada.role_of(users.sign_in("ada", PASSWORD, ada.deps).token) == "operator"
    users.set_role(ada.user, "admin", ROOT, ada.deps)
    assert ada.role_of(users.sign_in("ada", PASSWORD, ada.deps).token) == "admin"
    assert ada.role_of(ada.token) == "operator", "an old token does what it did"


def test_who_is_being_removed_is_given_no_role(ada: Ada) -> None:
    with pytest.raises(Cut):
        users.remove(ada.user, ROOT, breaking(ada.deps, 2))
    with pytest.raises(Refused, match="repeat the removal"):
        users.set_role(ada.user, "admin", ROOT, ada.deps)
    assert ada.role_of(ada.token) == ""


def test_a_removed_person_s_id_is_dead_for_longer_than_any_key_lives_and_holds_no_name(ada: Ada) -> None:
    users.remove(ada.user, ROOT, ada.deps)
    clock = ada.platform.clock
    clock.now += 366 * 86_400
    account = ada.deps.accounts.get(ada.user)
    assert account
    assert (account.removed, account.name) == (True, "")
    clock.now += 100 * 86_400
    assert ada.deps.accounts.get(ada.user) is None


@pytest.mark.parametrize("act", ["remove", "demote", "key"])
def test_what_cannot_be_written_into_the_audit_log_is_not_done(ada: Ada, act: str) -> None:
    class Full:
        def put(self, record: Any) -> Any:
            raise OSError("disk full")

    deps = replace(ada.deps, audit=Full())  # type: ignore[arg-type]
    before = ada.left_behind()
    doing = {
        "remove": lambda: users.remove(ada.user, ROOT, deps),
        "demote": lambda: users.set_role(ada.user, "listener", ROOT, deps),
        "key": lambda: api_keys.create("robot", "listener", 1, ada.caller, deps),
    }
    with pytest.raises(OSError, match="disk full"):
        doing[act]()
    assert ada.left_behind() == before
    assert ada.role_of(ada.token) == "operator"
