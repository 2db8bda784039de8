"""What one person may have at the same time: sessions, sockets, API keys, recordings and their bytes."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anc.ports import World
from anc.services import connections, jobs, keys, people, quotas, sessions
from anc.services.identity import Caller
from anc.services.jobs import LARGEST, Announcement
from anc.services.quotas import Quota
from anc.wire.refusal import Refused
from anc.wire.websocket import Start
from tests.recordings import done, sound_file, two_microphones, uploaded
from tests.worlds import ALICE, BOB, Clock, TestWorld, make_world

SMALL = {
    "quota_sessions": 2,
    "quota_sockets": 2,
    "quota_api_keys": 2,
    "quota_recordings": 2,
    "quota_unfinished_recordings": 2,
}
DAYS = 2.0


@pytest.fixture
def platform(tmp_path: Path, clock: Clock) -> TestWorld:
    """Give a platform on which a person may have two of each."""
    return make_world(tmp_path, clock, **SMALL)


class Kind:
    """How things of one kind are made and ended."""

    def __init__(
        self,
        quota: Quota,
        make: Callable[[Caller, World], str],
        end: Callable[[str, Caller, World], Any],
        lasts_s: float,
    ) -> None:
        self.quota, self.make, self.end, self.lasts_s = quota, make, end, lasts_s


made = iter(range(10**6))


def open_socket(caller: Caller, world: World) -> str:
    socket = f"socket-{next(made)}"
    connections.connect(socket, caller, world)
    return socket


def announce(caller: Caller, world: World) -> str:
    return jobs.announce(Announcement(1), caller, world).job


KINDS = {
    "sessions": Kind(
        sessions.SESSIONS,
        lambda caller, world: sessions.open_session(Start(), caller, world).key,
        sessions.end,
        3 * 3600,
    ),
    "sockets": Kind(
        connections.SOCKETS,
        open_socket,
        lambda key, _, world: connections.disconnect(key, world),
        connections.LIFE_S,
    ),
    "API keys": Kind(
        keys.API_KEYS,
        lambda caller, world: keys.create("k", "listener", DAYS, caller, world)[0].key,
        keys.revoke,
        DAYS * 86_400,
    ),
    "recordings": Kind(jobs.RECORDINGS, announce, jobs.remove, jobs.ANNOUNCED_S),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refusal:
        make()
    assert refusal.value.code == "too_many"
    return refusal.value.message


def test_a_refusal_names_the_quota_its_use_and_what_to_do(platform: TestWorld, kind: Kind) -> None:
    world = platform.world
    for _ in range(2):
        kind.make(ALICE, world)
    said = refused(lambda: kind.make(ALICE, world))
    assert "2 of 2 in use" in said
    assert said.endswith(("stop one, or wait until one expires", "close one", "revoke one", "or delete one"))
    kind.make(BOB, world)


def test_what_was_ended_makes_room(platform: TestWorld, kind: Kind) -> None:
    world = platform.world
    one, _ = kind.make(ALICE, world), kind.make(ALICE, world)
    for _ in range(5):
        kind.end(one, ALICE, world)
        one = kind.make(ALICE, world)
    refused(lambda: kind.make(ALICE, world))


def test_what_expired_makes_room(platform: TestWorld, kind: Kind) -> None:
    world = platform.world
    for _ in range(2):
        kind.make(ALICE, world)
    platform.clock.now += kind.lasts_s + 1
    for _ in range(2):
        kind.make(ALICE, world)
    refused(lambda: kind.make(ALICE, world))


def test_what_was_counted_and_never_made_makes_room_after_a_minute(platform: TestWorld, kind: Kind) -> None:
    world = platform.world
    for lost in range(2):
        quotas.reserve(kind.quota, f"lost-{lost}", ALICE.user, world)
    refused(lambda: kind.make(ALICE, world))
    platform.clock.now += quotas.NEW_S
    kind.make(ALICE, world)


def test_what_was_there_before_quotas_were_counted_counts(platform: TestWorld, kind: Kind) -> None:
    world = platform.world
    for _ in range(2):
        kind.make(ALICE, world)
    for each in KINDS.values():
        world.usages.delete(f"{each.quota.name}#{ALICE.user}")
    world.usages.delete(f"{jobs.UNFINISHED.name}#{ALICE.user}")
    refused(lambda: kind.make(ALICE, world))


def test_many_at_the_same_time_do_not_exceed_a_quota_together(platform: TestWorld, kind: Kind) -> None:
    world, begin = platform.world, threading.Barrier(6)
    outcomes: list[str] = []

    def make() -> None:
        begin.wait()
        try:
            kind.make(ALICE, world)
            outcomes.append("made")
        except Refused as refusal:
            outcomes.append(refusal.code)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made"] * 2 + ["too_many"] * 4


def test_nobody_announces_more_bytes_than_may_be_stored_of_a_person(tmp_path: Path, clock: Clock) -> None:
    world = make_world(tmp_path, clock).world
    announced = [jobs.announce(Announcement(LARGEST), ALICE, world).job for _ in range(2)]
    said = refused(lambda: jobs.announce(Announcement(1), ALICE, world))
    assert "25,769,803,776 of 25,769,803,776 bytes in use, 1 more asked for" in said
    jobs.announce(Announcement(LARGEST), BOB, world)
    jobs.remove(announced[0], ALICE, world)
    jobs.announce(Announcement(LARGEST), ALICE, world)


def test_a_refused_announcement_counts_nowhere(tmp_path: Path, clock: Clock) -> None:
    world = make_world(tmp_path, clock, quota_recording_bytes=10, quota_unfinished_recordings=1).world
    refused(lambda: jobs.announce(Announcement(11), ALICE, world))
    jobs.announce(Announcement(10), ALICE, world)


def test_a_recording_that_is_done_counts_with_its_result_and_no_more_as_unfinished(
    tmp_path: Path, clock: Clock
) -> None:
    data = sound_file(two_microphones(1.0))
    result = len(data) // 2
    room = len(data) + result
    world = make_world(tmp_path, clock, quota_recording_bytes=room, quota_unfinished_recordings=1).world
    first = uploaded(world, data)
    assert "unfinished" in refused(lambda: jobs.announce(Announcement(1), ALICE, world))
    assert done(world, first).state == "done"
    second = uploaded(world, data)
    assert done(world, second).state == "done"
    refused(lambda: jobs.announce(Announcement(len(data) + 100), ALICE, world))
    jobs.announce(Announcement(len(data) // 4), ALICE, world)


def test_removing_a_person_removes_all_that_they_had(tmp_path: Path, clock: Clock) -> None:
    most = dict.fromkeys(["quota_sessions", "quota_unfinished_recordings", "quota_recordings"], 150)
    world = make_world(tmp_path, clock, **most).world
    person = world.people.create("ann", "correct horse battery", "listener")
    ann = Caller(person.user)
    for _ in range(120):
        sessions.open_session(Start(), ann, world)
        announce(ann, world)
    people.remove(person.user, Caller("root", "admin"), world)
    assert not sessions.list_own(ann, world)
    assert not jobs.list_own(ann, world)
