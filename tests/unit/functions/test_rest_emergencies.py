"""Emergencies over REST: filter, acknowledge, comment, and who may."""

from collections.abc import Callable
from typing import Any

import pytest

from anc.headset_records import Control
from anc.ports import Conflict
from anc.records import Alarm
from anc.services import emergencies
from tests.fakes import FakePlatform

Call = Callable[..., tuple[int, Any, str]]
NIGHT = 1_800_000_000.0
PATH = "/api/emergency/events"
HEADSET = {"thing": "left", "secondary": [0.0, 0.5, 0.2]}


@pytest.fixture
def night(platform: FakePlatform) -> list[str]:
    """Store emergencies of Alice, an hour apart, and one of Bob; return the ids of Alice's."""
    for number, (source, kind) in enumerate(
        [("left", "siren"), ("right", "horn"), ("left", "alarm"), ("left", "siren")]
    ):
        emergencies.publish("alice", source, Alarm(kind, 0.9, NIGHT + 3600 * number), platform.deps)
    emergencies.publish("bob", "bobs", Alarm("siren", 0.9, NIGHT), platform.deps)
    platform.clock.now = NIGHT + 6 * 3600
    return [event.key for event in platform.deps.emergencies.list("alice")]


def ids(call: Call, **query: str) -> list[str]:
    """Return the ids on all pages of a list."""
    found, after = [], ""
    while after is not None:
        status, page, _ = call("GET", PATH, **query, after=after)
        assert status == 200, page
        found += [event["id"] for event in page["events"]]
        after = page["next"]
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"sort": "-at"}, [3, 2, 1, 0]),
        ({"kind": "siren"}, [0, 3]),
        ({"source": "left"}, [0, 2, 3]),
        ({"source": "left", "sort": "-at"}, [3, 2, 0]),
        ({"since": f"{NIGHT + 3600}"}, [1, 2, 3]),
        ({"until": f"{NIGHT + 3600}"}, [0]),
        ({"since": f"{NIGHT + 1}", "until": f"{NIGHT + 7201}", "sort": "-at"}, [2, 1]),
        ({"acknowledged": "false"}, [0, 2, 3]),
        ({"acknowledged": "true"}, [1]),
        ({"kind": "horn", "source": "left"}, []),
    ],
)
@pytest.mark.parametrize("limit", ["1", "2", "100"])
def test_all_conditions_hold_on_every_page(
    call: Call, night: list[str], query: dict[str, str], expected: list[int], limit: str
) -> None:
    assert call("PATCH", f"{PATH}/{night[1]}", {"acknowledged": True})[0] == 200

    assert ids(call, **query, limit=limit) == [night[number] for number in expected]


def test_a_search_that_finds_nothing_reads_a_limited_number_and_continues_on_the_next_page(
    call: Call, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emergencies, "MAX_READ", 100)
    for number in range(250):
        emergencies.publish("alice", "left", Alarm("siren", 0.9, NIGHT + number), platform.deps)
    emergencies.publish("alice", "left", Alarm("horn", 0.9, NIGHT + 300), platform.deps)
    first = call("GET", PATH, kind="horn")[1]

    assert first["events"] == []
    assert first["next"]
    assert len(ids(call, kind="horn")) == 1


def test_who_acknowledged_an_emergency_and_when_is_kept_when_it_is_repeated(
    call: Call, platform: FakePlatform, night: list[str]
) -> None:
    assert call("GET", f"{PATH}/{night[0]}")[1]["acknowledged"] is False
    first = call("PATCH", f"{PATH}/{night[0]}", {"acknowledged": True}, "olga", "operator")[1]
    acknowledged_at = platform.clock.now
    platform.clock.now += 60
    assert call("PATCH", f"{PATH}/{night[0]}", {"acknowledged": True})[1] == first
    assert call("GET", f"{PATH}/{night[0]}")[1] == first
    assert (first["acknowledged"], first["acknowledged_by"], first["acknowledged_at"]) == (
        True,
        "olga",
        acknowledged_at,
    )
    withdrawn = call("PATCH", f"{PATH}/{night[0]}", {"acknowledged": False})[1]
    assert (withdrawn["acknowledged"], withdrawn["acknowledged_by"], withdrawn["acknowledged_at"]) == (
        False,
        None,
        None,
    )


def test_a_comment_has_its_author_and_can_be_replaced_and_removed(
    call: Call, platform: FakePlatform, night: list[str]
) -> None:
    text = "Fire drill in hall 3.\nNobody was at the machine: see “Übung”."
    first = call("PATCH", f"{PATH}/{night[0]}", {"comment": f"  {text}\n"}, "olga", "operator")[1]
    assert (first["comment"], first["commented_by"], first["acknowledged"]) == (text, "olga", False)
    platform.clock.now += 60
    assert call("PATCH", f"{PATH}/{night[0]}", {"comment": text})[1] == first
    other = call("PATCH", f"{PATH}/{night[0]}", {"comment": "A real fire."})[1]
    assert (other["commented_by"], other["commented_at"]) == ("alice", platform.clock.now)
    removed = call("PATCH", f"{PATH}/{night[0]}", {"comment": ""})[1]
    assert (removed["comment"], removed["commented_by"], removed["commented_at"]) == ("", None, None)


def test_names_of_users_are_shown_instead_of_their_ids(
    call: Call, platform: FakePlatform, night: list[str]
) -> None:
    person = {"username": "olga", "password": "correct horse battery staple", "role": "operator"}
    user = call("POST", "/api/users", person, "root", "admin")[1]["user"]
    platform.clock.now += 1
    changed = call("PATCH", f"{PATH}/{night[0]}", {"acknowledged": True, "comment": "x"}, user, "operator")

    assert (changed[1]["acknowledged_by"], changed[1]["commented_by"]) == ("olga", "olga")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"comment": "x" * 501}, "comment: must have at most 500 characters"),
        (
            {"comment": "tab\there"},
            "comment: must be text on one line or several, without other control characters",
        ),
        (
            {"comment": "\u202egnp.exe"},
            "comment: must be text on one line or several, without other control characters",
        ),
        (
            {"comment": "a\0b"},
            "comment: must be text on one line or several, without other control characters",
        ),
        ({"comment": 7}, "comment: must be a string"),
        ({"acknowledged": "yes"}, "acknowledged: must be true or false"),
        ({"kind": "siren"}, "kind: unknown field"),
    ],
)
def test_a_change_that_is_not_allowed_is_refused_with_field_and_limit_and_changes_nothing(
    call: Call, night: list[str], body: dict[str, Any], message: str
) -> None:
    before = call("GET", f"{PATH}/{night[0]}")[1]
    status, problem, _ = call("PATCH", f"{PATH}/{night[0]}", body)

    assert (status, problem["detail"]) == (400, message)
    assert call("GET", f"{PATH}/{night[0]}")[1] == before


def test_a_comment_of_five_hundred_characters_is_stored(call: Call, night: list[str]) -> None:
    assert call("PATCH", f"{PATH}/{night[0]}", {"comment": "ü" * 500})[1]["comment"] == "ü" * 500


@pytest.mark.parametrize("id", ["00000000000000-00000000", "x"])
def test_an_unknown_emergency_is_refused(call: Call, night: list[str], id: str) -> None:
    expected = (404, "unknown_emergency") if id != "x" else (400, "bad_field")
    for method, body in (("GET", None), ("PATCH", {"acknowledged": True})):
        status, problem, _ = call(method, f"{PATH}/{id}", body)
        assert (status, problem["code"]) == expected


def test_listeners_see_and_change_their_own_and_operators_those_of_every_owner(
    call: Call, night: list[str]
) -> None:
    for method, body in (("GET", None), ("PATCH", {"acknowledged": True, "comment": "x"})):
        assert call(method, f"{PATH}/{night[0]}", body, "bob")[0] == 404
        assert call(method, f"{PATH}/{night[0]}", body, "olga", "operator")[0] == 200
    status, problem, _ = call("GET", PATH, user="bob", owner="alice")
    assert (status, problem["code"], problem["detail"].partition(":")[0]) == (403, "forbidden", "owner")
    assert call("GET", "/api/emergency/status", user="bob", owner="alice")[0] == 403
    for role in ("operator", "admin"):
        found = call("GET", PATH, user="olga", role=role, owner="alice")[1]["events"]
        assert [event["id"] for event in found] == night
        assert call("GET", PATH, user="olga", role=role)[1]["events"] == []


def test_operators_find_the_emergencies_of_a_headset_without_naming_its_owner(
    call: Call, platform: FakePlatform, night: list[str]
) -> None:
    assert call("POST", "/api/devices", HEADSET)[0] == 201
    found = call("GET", PATH, user="olga", role="operator", source="left")[1]["events"]
    assert [event["id"] for event in found] == [night[0], night[2], night[3]]
    assert {event["owner"] for event in found} == {"alice"}
    assert call("GET", PATH, user="bob", source="left")[1]["events"] == []

    until = platform.clock.now + 10
    platform.deps.controls.put(Control(key="left", group="alice", emergency_until=until))
    status = call("GET", "/api/emergency/status", user="olga", role="operator", source="left")[1]
    assert [event["id"] for event in status["sources"]] == [night[3]]


def test_changes_are_in_the_audit_log_once_and_without_the_comment(
    call: Call, platform: FakePlatform, night: list[str]
) -> None:
    for body in ({"acknowledged": True}, {"comment": "It was Ada."}, {}):
        for _ in range(2):
            platform.clock.now += 1
            assert call("PATCH", f"{PATH}/{night[0]}", body, "olga", "operator")[0] == 200
    found = call("GET", "/api/audit", user="root", role="admin")[1]["entries"]

    owner = {"owner": "alice", "source": "left"}
    assert [(each["user"], each["action"], each["subject"], each["detail"]) for each in found] == [
        ("olga", "emergency.comment", night[0], owner),
        ("olga", "emergency.acknowledge", night[0], owner | {"acknowledged": "true"}),
    ]


def test_of_two_who_acknowledge_at_the_same_time_the_first_is_kept_and_a_comment_is_not_lost(
    call: Call, platform: FakePlatform, night: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = platform.deps.emergencies
    put = table.put
    others = [{"acknowledged": True, "comment": "Mine."}]

    def overtaken(record: Any) -> Any:
        if others:
            call("PATCH", f"{PATH}/{night[0]}", others.pop(), "olga", "operator")
        return put(record)

    monkeypatch.setattr(table, "put", overtaken)
    changed = call("PATCH", f"{PATH}/{night[0]}", {"acknowledged": True})[1]

    assert (changed["acknowledged_by"], changed["comment"]) == ("olga", "Mine.")


def test_a_record_that_keeps_changing_is_refused_as_in_flight(
    call: Call, platform: FakePlatform, night: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def conflict(record: Any) -> Any:
        raise Conflict(record.key)

    monkeypatch.setattr(platform.deps.emergencies, "put", conflict)

    assert call("PATCH", f"{PATH}/{night[0]}", {"acknowledged": True})[1]["code"] == "in_flight"


def test_an_alarm_that_is_published_again_does_not_undo_its_acknowledgement(
    call: Call, platform: FakePlatform, night: list[str]
) -> None:
    call("PATCH", f"{PATH}/{night[0]}", {"acknowledged": True})
    emergencies.publish("alice", "left", Alarm("siren", 0.9, NIGHT), platform.deps)

    assert call("GET", f"{PATH}/{night[0]}")[1]["acknowledged"] is True


ALL = {"user": "olga", "role": "operator", "all_owners": "true"}


def test_operators_list_the_emergencies_of_all_owners_in_one_list(call: Call, night: list[str]) -> None:
    found = ids(call, **ALL, sort="-at", limit="2")
    page = call("GET", PATH, **ALL, sort="-at")[1]["events"]

    assert sorted(event["owner"] for event in page) == ["alice"] * 4 + ["bob"]
    assert {*found} > {*night}
    assert found == sorted(found, reverse=True) == [event["id"] for event in page]
    assert ids(call, **ALL, kind="horn") == [night[1]]
    assert ids(call, **ALL, since=f"{NIGHT + 3600}") == night[1:]
    assert page[0]["owner_name"] == "alice"


def test_the_list_of_all_owners_is_for_operators_and_excludes_an_owner(call: Call, night: list[str]) -> None:
    for path in (PATH, "/api/emergency/status"):
        status, answer, _ = call("GET", path, all_owners="true")
        assert (status, answer["detail"]) == (
            403,
            "all_owners: requires the role operator (you are listener)",
        )
        status, answer, _ = call("GET", path, **ALL, owner="bob")
        assert (status, answer["detail"]) == (400, "all_owners: give either owner or all_owners")


def test_operators_see_active_emergencies_of_all_owners_within_bounds(
    call: Call, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = platform.clock.now
    for number, owner in enumerate(("alice", "bob", "carol")):
        source = f"{owner}s"
        emergencies.publish(owner, source, Alarm("siren", 0.9, now + number), platform.deps)
        platform.deps.controls.put(Control(key=source, group=owner, emergency_until=now + 60))
    emergencies.publish("dora", "doras", Alarm("horn", 0.9, now + 5), platform.deps)

    def active() -> list[str]:
        return [event["source"] for event in call("GET", "/api/emergency/status", **ALL)[1]["sources"]]

    assert active() == ["carols", "bobs", "alices"]
    monkeypatch.setattr(emergencies, "MAX_SOURCES_OF_ALL", 2)
    assert active() == ["carols"]
    platform.clock.now += 61
    assert active() == []
