"""Certificates of an earlier registration are never valid for the next owner of the name.

The services run step by step on every thing registry. A step ends at each call of the registry, of AWS, or of
the device table. One test registers another owner before each step, one interrupts each step, and one
interleaves three actions in any order.
"""

import dataclasses
import itertools
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anc.ports import Conflict, Dependencies
from anc.schemas.claim import Claim
from anc.schemas.refusal import Refused
from anc.services.access.identity import Caller
from anc.services.headsets import claims, device_models, devices
from tests.factory_claims import claim
from tests.fakes import Clock, make_dependencies, signing_key

THING = "left"
PATH = [0.0, 0.5, 0.2]
ALICE, BOB, MAKER = Caller("alice"), Caller("bob"), Caller("maker", "operator")
MAX_STEPS = 60
serial = itertools.count()
WATCHED = {
    "things": ("create", "attach_certificate", "activate", "certificates", "revoke", "remove"),
    "devices": ("get", "put", "delete"),
}


@pytest.fixture(autouse=True)
def fast_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip waiting for detachment, and use one key for all certificates."""
    monkeypatch.setattr("anc.aws.things.DETACH_WAITS_S", ())
    monkeypatch.setattr(
        "moto.iot.models.rsa", SimpleNamespace(generate_private_key=lambda **_: signing_key())
    )


def ignore() -> None:
    """Do nothing before a step."""


class Interrupted(BaseException):
    """The process stops."""


class Watched:
    """A proxy of a port that calls `before()` before each call."""

    def __init__(self, port: Any, names: Sequence[str], before: Callable[[], None]) -> None:
        self._port, self._names, self._before = port, names, before

    def __getattr__(self, name: str) -> Any:
        done = getattr(self._port, name)
        if name not in self._names:
            return done

        def call(*arguments: Any, **named: Any) -> Any:
            self._before()
            return done(*arguments, **named)

        return call


class Site:
    """A platform, its thing registry, and all certificates ever issued."""

    def __init__(self, folder: Path, things: Any) -> None:
        folder.mkdir(parents=True)
        self.things = things
        self.deps = dataclasses.replace(make_dependencies(folder, Clock()).deps, things=things.port)
        self.made: set[str] = set()
        self._thread = threading.local()
        things.on_call = self._on_call
        self.bobs = ""
        device_models.describe("twin", device_models.ModelDescription(secondary=PATH), self.deps)

    def _on_call(self) -> None:
        getattr(self._thread, "before", ignore)()

    def stepwise(self, before: Callable[[], None]) -> Dependencies:
        """Return the dependencies, with `before()` called before each step."""

        def note() -> None:
            self._thread.before = ignore
            self.made |= set(self.things.attached(THING))
            before()
            self._thread.before = before

        ports = {name: Watched(getattr(self.deps, name), calls, note) for name, calls in WATCHED.items()}
        return dataclasses.replace(self.deps, **ports)  # type: ignore[arg-type]

    def register(self, who: Caller, before: Callable[[], None] = ignore) -> None:
        request = devices.Registration(thing=THING, secondary=PATH)
        _, credentials = devices.register(request, who, self.stepwise(before))
        if who is BOB:
            self.bobs = credentials.certificate_id

    def renew(self, who: Caller, before: Callable[[], None] = ignore) -> None:
        devices.rotate_credentials(THING, who, self.stepwise(before))

    def remove(self, who: Caller, before: Callable[[], None] = ignore) -> None:
        devices.remove(THING, who, self.stepwise(before))

    def claim(self, who: Caller, before: Callable[[], None] = ignore) -> None:
        """Come with the factory's claim; the steps behind the hook are the broker's own."""
        certificate = self.things.sign()
        self.made.add(certificate)
        self._thread.before = ignore
        event = claim(THING, who.user) | {"certificateId": certificate}
        claims.authorize_claim(Claim.of(event), self.stepwise(before))
        for step in self.things.provision(THING, certificate):
            before()
            with suppress(Exception):  # the thing is there already
                step()

    def check(self) -> None:
        """Check that no certificate works but those of the present registration; and Bob's, if it is his."""
        self._thread.before = ignore
        device = self.deps.devices.get(THING)
        may = {device.certificate, *device.replaced} if device else set()
        self.made |= set(self.things.attached(THING))
        assert {each for each in self.made if self.things.active(THING, each)} <= may
        if self.bobs:
            assert device is not None
            assert (device.group, device.certificate) == ("bob", self.bobs)
            assert self.things.active(THING, self.bobs)

    def register_bob(self) -> None:
        """Remove the device that there is, register Bob's, and check what works."""
        with suppress(Refused):
            self.remove(MAKER)
        with suppress(Refused):
            self.register(BOB)
        self.check()

    def end(self) -> None:
        """Check that Bob can have the name in the end and his certificate alone works; then remove it."""
        if not self.bobs:
            self.register_bob()
        assert self.bobs
        self.check()
        self.remove(MAKER)
        self.bobs = ""
        self.check()
        assert self.deps.devices.get(THING) is None


def at_step(number: int, do: Callable[[], None]) -> Callable[[], None]:
    """Return a callback that calls `do` before the step with this number, once."""
    left = [number]

    def before() -> None:
        left[0] -= 1
        if left[0] == -1:
            do()

    return before


def begin_with(what: str, site: Site) -> None:
    """Prepare the device for an action of Alice."""
    if what == "claim":
        claims.preregister("twin", [THING], ALICE, site.deps)
    elif what != "register":
        site.register(ALICE)


ACTIONS = ["register", "renew", "remove", "claim"]


@pytest.mark.thorough
@pytest.mark.parametrize("what", ACTIONS)
def test_a_registration_before_any_step_is_safe_from_earlier_certificates(
    things: Any, tmp_path: Path, what: str
) -> None:
    for step in range(MAX_STEPS):
        site, came = Site(tmp_path / str(step), things), []
        begin_with(what, site)

        def another_owner(site: Site = site, came: list[bool] = came) -> None:
            came.append(True)
            site.register_bob()

        with suppress(Refused, Conflict):
            getattr(site, what)(ALICE, at_step(step, another_owner))
        site.check()
        site.end()
        if not came:
            break
    assert 2 < step < MAX_STEPS - 1


@pytest.mark.thorough
@pytest.mark.parametrize("what", ACTIONS)
def test_repeating_an_interrupted_action_completes_it_and_revokes_old_certificates(
    things: Any, tmp_path: Path, what: str
) -> None:
    for step in range(MAX_STEPS):
        site, died = Site(tmp_path / str(step), things), []
        begin_with(what, site)

        def die(died: list[bool] = died) -> None:
            died.append(True)
            raise Interrupted

        with suppress(Interrupted):
            getattr(site, what)(ALICE, at_step(step, die))
        site.check()
        if what == "remove":
            with suppress(Refused):  # the interrupted removal was complete
                site.remove(ALICE)
            assert site.deps.devices.get(THING) is None
        site.end()
        if not died:
            break
    assert 2 < step < MAX_STEPS - 1


class Turns:
    """Actions in separate threads that execute their steps one at a time."""

    def __init__(self) -> None:
        self._may: dict[int, threading.Semaphore] = {}
        self._stopped = threading.Semaphore(0)

    def start(self, number: int, act: Callable[[Callable[[], None]], None]) -> None:
        """Start an action that waits for its first turn; `act(before)` calls `before()` before each step."""
        self._may[number] = may = threading.Semaphore(0)

        def before() -> None:
            self._stopped.release()
            may.acquire()

        def run() -> None:
            may.acquire()
            with suppress(Refused, Conflict):
                act(before)
            del self._may[number]
            self._stopped.release()

        threading.Thread(target=run, daemon=True).start()

    def take(self, number: int) -> None:
        """Run an action to its next step, or to its end."""
        if number in self._may:
            self._may[number].release()
            assert self._stopped.acquire(timeout=60)

    def finish(self) -> None:
        """Run all actions to their ends."""
        while self._may:
            self.take(next(iter(self._may)))


@pytest.mark.thorough
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    what=st.lists(st.sampled_from(["renew", "remove", "claim"]), min_size=2, max_size=2),
    schedule=st.lists(st.integers(0, 2), max_size=60),
)
def test_no_interleaving_of_three_actions_leaves_an_earlier_certificate_valid(
    things: Any, tmp_path: Path, what: list[str], schedule: list[int]
) -> None:
    site, turns = Site(tmp_path / str(next(serial)), things), Turns()
    begin_with("claim" if "claim" in what else "renew", site)
    actions = [partial(getattr(site, each), ALICE) for each in what] + [partial(site.register, BOB)]
    for number, action in enumerate(actions):
        turns.start(number, action)
    for number in schedule:
        turns.take(number)
        site.check()
    turns.finish()
    site.check()
    site.end()
