"""Removing somebody or taking rights from them, cut short after each step and repeated."""

import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from anc.ports import World
from anc.records import Connection, Person, Watch
from anc.services import devices, identity, jobs, keys, people, sessions
from anc.services.identity import Caller
from anc.wire.refusal import Refused
from anc.wire.websocket import Start
from tests.worlds import Clock, TestWorld, make_world

ROOT = Caller("root", "admin")
PASSWORD = "correct horse battery"
PORTS = ("accounts", "audit", "api_keys", "connections", "watches", "streams", "jobs", "objects", "devices")
PORTS += ("controls", "telemetry", "statuses", "things", "sockets", "people")
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


def breaking(world: World, after: int) -> World:
    """Return the world, in which the power goes after so many steps that change something."""
    steps = (number == after for number in range(1, 10_000))
    assert set(PORTS) <= {field.name for field in fields(world)}
    return replace(world, **{name: Breaking(getattr(world, name), steps) for name in PORTS})


class Ada:
    """Somebody with one of everything."""

    def __init__(self, platform: TestWorld) -> None:
        self.platform = platform
        # Tokens go by the clock on the wall, which the platform must agree with.
        self.world = world = replace(platform.world, clock=time.time)
        self.person: Person = people.create("ada", PASSWORD, "operator", ROOT, world)
        self.user = self.person.user
        self.token = people.sign_in("ada", PASSWORD, world).token
        self.caller = identity.verify(self.token, world)
        self.keys = {role: keys.create("robot", role, 365, self.caller, world)[1] for role in ROLES}
        self.session = sessions.open_session(Start(), self.caller, world).key
        self.job = jobs.announce(jobs.Announcement(5), self.caller, world).job
        world.objects.put(f"uploads/{self.job}", b"sound")
        for thing in ("left", "right"):
            request = devices.Registration(thing=thing, secondary=[0.0, 0.5])
            devices.register(request, self.caller, world)
        connection = Connection(key="socket", group=self.user, role="operator", watching=("left", "foreign"))
        world.connections.put(connection)
        for device in connection.watching:
            world.watches.put(Watch(key=f"{device}#socket", group=device, connection="socket"))

    def role_of(self, secret: str) -> str:
        """Return what a token or key may do, or "" when it is refused."""
        try:
            return identity.verify(secret, self.world).role
        except Refused:
            return ""

    def left_behind(self) -> list[Any]:
        """Return what there is of hers."""
        world = self.world
        tables = (world.api_keys, world.connections, world.streams, world.jobs, world.devices)
        found = [record for table in tables for record in table.list(self.user)]
        found += [watch for device in ("left", "foreign") for watch in world.watches.list(device)]
        return found + [each for each in [world.objects.get(f"uploads/{self.job}")] if each]


ROLES = ("listener", "operator")


@pytest.fixture
def ada(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ada:
    monkeypatch.setattr("local.people.PasswordHasher", lambda: PasswordHasher(1, 8, 1))
    return Ada(make_world(tmp_path, Clock(time.time())))


def cut_short_after_each_step(act: Callable[[World], Any], world: World) -> Iterator[int]:
    """Do something again and again, each time getting one step further; yield how far, until it is done."""
    after = 0
    while True:
        after += 1
        try:
            act(breaking(world, after))
        except Cut:
            yield after
        else:
            return


def test_a_removal_cut_short_anywhere_is_finished_by_repeating_it(ada: Ada) -> None:
    steps = 0
    for steps in cut_short_after_each_step(lambda world: people.remove(ada.user, ROOT, world), ada.world):
        if steps >= 2:  # the audit entry is written, the account closed
            assert ada.role_of(ada.token) == ""
            assert [ada.role_of(key) for key in ada.keys.values()] == ["", ""]
            with pytest.raises(Refused, match="username or password"):
                people.sign_in("ada", PASSWORD, ada.world)
        if not ada.world.people.get(ada.user):
            break  # deleted last: nothing is left to finish
    assert steps > 2
    assert ada.world.people.get(ada.user) is None
    assert ada.left_behind() == []
    assert "socket" in ada.platform.sockets.closed
    assert {name for name in ada.platform.things.revoked if name.startswith("cert-")} == {
        "cert-left-1",
        "cert-right-2",
    }


@pytest.mark.parametrize("after", range(1, 40))
def test_one_repetition_finishes_a_removal_wherever_it_was_cut_short(ada: Ada, after: int) -> None:
    try:
        people.remove(ada.user, ROOT, breaking(ada.world, after))
    except Cut:
        if ada.world.people.get(ada.user):
            people.remove(ada.user, ROOT, ada.world)
    assert ada.world.people.get(ada.user) is None
    assert ada.left_behind() == []
    assert ada.role_of(ada.token) == ""


@pytest.mark.parametrize("after", range(1, 14))
def test_a_demotion_cut_short_anywhere_lets_nobody_do_more_and_is_finished_by_repeating_it(
    ada: Ada, after: int
) -> None:
    try:
        people.set_role(ada.user, "listener", ROOT, breaking(ada.world, after))
    except Cut:
        if after >= 2:
            assert ada.role_of(ada.token) == ""
            assert ada.role_of(ada.keys["operator"]) in ("", "listener")
            assert ada.role_of(people.sign_in("ada", PASSWORD, ada.world).token) == "listener"
        people.set_role(ada.user, "listener", ROOT, ada.world)
    assert ada.role_of(ada.token) == ""
    assert {role: ada.role_of(key) for role, key in ada.keys.items()} == {
        "listener": "listener",
        "operator": "",
    }
    assert ada.platform.sockets.closed
    assert ada.world.connections.list(ada.user) == []
    assert ada.role_of(people.sign_in("ada", PASSWORD, ada.world).token) == "listener"


@pytest.mark.parametrize("after", range(1, 4))
def test_a_promotion_cut_short_anywhere_gives_nothing_until_it_is_repeated(ada: Ada, after: int) -> None:
    with pytest.raises(Cut):
        people.set_role(ada.user, "admin", ROOT, breaking(ada.world, after))
    if after < 3:
        assert ada.role_of(people.sign_in("ada", PASSWORD, ada.world).token) == "operator"
    people.set_role(ada.user, "admin", ROOT, ada.world)
    assert ada.role_of(people.sign_in("ada", PASSWORD, ada.world).token) == "admin"
    assert ada.role_of(ada.token) == "operator", "an old token does what it did"


def test_who_is_being_removed_is_given_no_role(ada: Ada) -> None:
    with pytest.raises(Cut):
        people.remove(ada.user, ROOT, breaking(ada.world, 2))
    with pytest.raises(Refused, match="repeat the removal"):
        people.set_role(ada.user, "admin", ROOT, ada.world)
    assert ada.role_of(ada.token) == ""


def test_a_removed_person_s_id_is_dead_for_longer_than_any_key_lives_and_holds_no_name(ada: Ada) -> None:
    people.remove(ada.user, ROOT, ada.world)
    clock = ada.platform.clock
    clock.now += 366 * 86_400
    account = ada.world.accounts.get(ada.user)
    assert account
    assert (account.removed, account.name) == (True, "")
    clock.now += 100 * 86_400
    assert ada.world.accounts.get(ada.user) is None


@pytest.mark.parametrize("act", ["remove", "demote", "key"])
def test_what_cannot_be_written_into_the_audit_log_is_not_done(ada: Ada, act: str) -> None:
    class Full:
        def put(self, record: Any) -> Any:
            raise OSError("disk full")

    world = replace(ada.world, audit=Full())  # type: ignore[arg-type]
    before = ada.left_behind()
    doing = {
        "remove": lambda: people.remove(ada.user, ROOT, world),
        "demote": lambda: people.set_role(ada.user, "listener", ROOT, world),
        "key": lambda: keys.create("robot", "listener", 1, ada.caller, world),
    }
    with pytest.raises(OSError, match="disk full"):
        doing[act]()
    assert ada.left_behind() == before
    assert ada.role_of(ada.token) == "operator"
