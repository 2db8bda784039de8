"""Quotas of a user: sessions, sockets, API keys, recordings and their bytes."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anc.ports import Dependencies
from anc.schemas.refusal import Refused
from anc.schemas.websocket import Start
from anc.services import connections
from anc.services.access import api_keys, quotas, users
from anc.services.access.identity import Caller
from anc.services.access.quotas import Quota
from anc.services.sound import jobs, sessions
from anc.services.sound.jobs import MAX_UPLOAD_BYTES, UploadRequest
from tests.fakes import ALICE, BOB, Clock, FakePlatform, make_dependencies
from tests.recordings import done, sound_file, two_microphones, uploaded

SMALL = {
    "quota_sessions": 2,
    "quota_sockets": 2,
    "quota_api_keys": 2,
    "quota_recordings": 2,
    "quota_unfinished_recordings": 2,
}
DAYS = 2.0


@pytest.fixture
def platform(tmp_path: Path, clock: Clock) -> FakePlatform:
    """Return a platform with quotas of two."""
    return make_dependencies(tmp_path, clock, **SMALL)


class Kind:
    """How to create and end items of a quota."""

    def __init__(
        self,
        quota: Quota,
        make: Callable[[Caller, Dependencies], str],
        end: Callable[[str, Caller, Dependencies], Any],
        lasts_s: float,
    ) -> None:
        self.quota, self.make, self.end, self.lasts_s = quota, make, end, lasts_s


made = iter(range(10**6))


def open_socket(caller: Caller, deps: Dependencies) -> str:
    socket = f"socket-{next(made)}"
    connections.connect(socket, caller, deps)
    return socket


def announce(caller: Caller, deps: Dependencies) -> str:
    return jobs.create(UploadRequest(1), caller, deps).job


KINDS = {
    "sessions": Kind(
        sessions.SESSIONS,
        lambda caller, deps: sessions.open_session(Start(), caller, deps).key,
        sessions.end,
        3 * 3600,
    ),
    "sockets": Kind(
        connections.SOCKETS,
        open_socket,
        lambda key, _, deps: connections.disconnect(key, deps),
        connections.RECORD_LIFETIME_S,
    ),
    "API keys": Kind(
        api_keys.API_KEYS,
        lambda caller, deps: api_keys.create("k", "listener", DAYS, caller, deps)[0].key,
        api_keys.revoke,
        DAYS * 86_400,
    ),
    "recordings": Kind(jobs.RECORDINGS, announce, jobs.remove, jobs.UPLOAD_DEADLINE_S),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refusal:
        make()
    assert refusal.value.code == "too_many"
    return refusal.value.message


def test_a_refusal_names_the_quota_its_use_and_what_to_do(platform: FakePlatform, kind: Kind) -> None:
    deps = platform.deps
    for _ in range(2):
        kind.make(ALICE, deps)
    message = refused(lambda: kind.make(ALICE, deps))
    assert "2 of 2 in use" in message
    assert message.endswith(
        ("stop one, or wait until one expires", "close one", "revoke one", "or delete one")
    )
    kind.make(BOB, deps)


def test_ended_items_free_the_quota(platform: FakePlatform, kind: Kind) -> None:
    deps = platform.deps
    one, _ = kind.make(ALICE, deps), kind.make(ALICE, deps)
    for _ in range(5):
        kind.end(one, ALICE, deps)
        one = kind.make(ALICE, deps)
    refused(lambda: kind.make(ALICE, deps))


def test_expired_items_free_the_quota(platform: FakePlatform, kind: Kind) -> None:
    deps = platform.deps
    for _ in range(2):
        kind.make(ALICE, deps)
    platform.clock.now += kind.lasts_s + 1
    for _ in range(2):
        kind.make(ALICE, deps)
    refused(lambda: kind.make(ALICE, deps))


def test_reserved_items_that_were_never_created_free_the_quota_after_a_minute(
    platform: FakePlatform, kind: Kind
) -> None:
    deps = platform.deps
    for lost in range(2):
        quotas.reserve(kind.quota, f"lost-{lost}", ALICE.user, deps)
    refused(lambda: kind.make(ALICE, deps))
    platform.clock.now += quotas.RESERVATION_S
    kind.make(ALICE, deps)


def test_items_from_before_quotas_are_counted(platform: FakePlatform, kind: Kind) -> None:
    deps = platform.deps
    for _ in range(2):
        kind.make(ALICE, deps)
    for each in KINDS.values():
        deps.usages.delete(f"{each.quota.name}#{ALICE.user}")
    deps.usages.delete(f"{jobs.UNFINISHED.name}#{ALICE.user}")
    refused(lambda: kind.make(ALICE, deps))


def test_concurrent_requests_do_not_exceed_a_quota(platform: FakePlatform, kind: Kind) -> None:
    deps, begin = platform.deps, threading.Barrier(6)
    outcomes: list[str] = []

    def make() -> None:
        begin.wait()
        try:
            kind.make(ALICE, deps)
            outcomes.append("made")
        except Refused as refusal:
            outcomes.append(refusal.code)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made"] * 2 + ["too_many"] * 4


def test_uploads_cannot_exceed_the_quota_of_bytes(tmp_path: Path, clock: Clock) -> None:
    deps = make_dependencies(tmp_path, clock).deps
    announced = [jobs.create(UploadRequest(MAX_UPLOAD_BYTES), ALICE, deps).job for _ in range(2)]
    message = refused(lambda: jobs.create(UploadRequest(1), ALICE, deps))
    assert "25,769,803,776 of 25,769,803,776 bytes in use, 1 more requested" in message
    jobs.create(UploadRequest(MAX_UPLOAD_BYTES), BOB, deps)
    jobs.remove(announced[0], ALICE, deps)
    jobs.create(UploadRequest(MAX_UPLOAD_BYTES), ALICE, deps)


def test_a_refused_upload_is_not_counted(tmp_path: Path, clock: Clock) -> None:
    deps = make_dependencies(tmp_path, clock, quota_recording_bytes=10, quota_unfinished_recordings=1).deps
    refused(lambda: jobs.create(UploadRequest(11), ALICE, deps))
    jobs.create(UploadRequest(10), ALICE, deps)


def test_a_finished_recording_counts_with_its_two_sounds_only(tmp_path: Path, clock: Clock) -> None:
    data = sound_file(two_microphones(1.0))
    sounds = len(data)  # one channel before and after filtering
    room = 2 * sounds + len(data) // 4
    deps = make_dependencies(tmp_path, clock, quota_recording_bytes=room, quota_unfinished_recordings=1).deps
    first = uploaded(deps, data)
    assert "unfinished" in refused(lambda: jobs.create(UploadRequest(1), ALICE, deps))
    assert done(deps, first).state == "done"
    second = uploaded(deps, data)
    assert done(deps, second).state == "done"
    refused(lambda: jobs.create(UploadRequest(len(data) // 4 + 100), ALICE, deps))
    jobs.create(UploadRequest(len(data) // 4), ALICE, deps)


def test_removing_a_user_removes_all_their_items(tmp_path: Path, clock: Clock) -> None:
    most = dict.fromkeys(["quota_sessions", "quota_unfinished_recordings", "quota_recordings"], 150)
    deps = make_dependencies(tmp_path, clock, **most).deps
    person = deps.users.create("ann", "correct horse battery", "listener")
    ann = Caller(person.user)
    for _ in range(120):
        sessions.open_session(Start(), ann, deps)
        announce(ann, deps)
    users.remove(person.user, Caller("root", "admin"), deps)
    assert not sessions.list_own(ann, deps)
    assert not jobs.list_own(ann, deps)
