"""The audit log: every change with its actor and API key, and without secrets."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.factory_claims import claim
from tests.fakes import FakePlatform

Call = Callable[..., tuple[int, Any, str]]
PASSWORD = "correct horse battery"
HEADSET = {"thing": "left", "secondary": [0.0, 0.5, 0.2]}
FIRMWARE = {
    "version": "1.2.3",
    "url": "https://example.org/f?signature=s3cr3t",
    "sha256": "0" * 64,
    "size": 5,
}


@pytest.fixture
def entries(call: Call) -> Callable[[], list[dict[str, Any]]]:
    """Give `entries()`: the log, oldest entry first."""

    def read() -> list[dict[str, Any]]:
        status, page, _ = call("GET", "/api/audit", user="root", role="admin")
        assert status == 200
        return list(reversed(page["entries"]))

    return read


@pytest.fixture
def root(call: Call, platform: FakePlatform) -> Call:
    """Give `root(method, path, body)`: call the API as an admin, each time a second later."""

    def request(method: str, path: str, body: Any = None) -> Any:
        platform.clock.now += 1
        status, answer, _ = call(method, path, body, "root", "admin")
        assert status < 300, answer
        return answer

    return request


def test_changes_of_users_and_keys_are_logged(root: Call, entries: Any) -> None:
    ada = root("POST", "/api/users", {"username": "ada", "password": PASSWORD, "role": "operator"})["user"]
    root("PATCH", f"/api/users/{ada}", {"role": "listener"})
    root("DELETE", f"/api/users/{ada}")
    key = root("POST", "/api/users/me/keys", {"name": "robot", "scopes": ["audio"]})["id"]
    root("DELETE", f"/api/users/me/keys/{key}")
    assert [(each["action"], each["subject"], each["detail"]) for each in entries()] == [
        ("person.create", "ada", {"role": "operator"}),
        ("person.role", ada, {"name": "ada", "before": "operator", "role": "listener"}),
        ("person.remove", ada, {"name": "ada", "role": "listener"}),
        ("key.create", key, {"name": "robot", "role": "listener", "scopes": "audio"}),
        ("key.revoke", key, {"name": "robot", "role": "listener"}),
    ]
    assert {(each["user"], each["api_key"]) for each in entries()} == {("root", "")}


def test_changes_of_headsets_are_logged(root: Call, entries: Any, platform: FakePlatform) -> None:
    from functions.provisioner.handler import handler  # noqa: PLC0415
    from local.lambda_context import LocalContext  # noqa: PLC0415

    root("POST", "/api/devices", HEADSET)
    root("POST", "/api/devices/left/credentials")
    root("PATCH", "/api/devices/left/shadow", {"config": {"private": True}})
    root("PATCH", "/api/devices/left/shadow", {"firmware": FIRMWARE})
    root("PATCH", "/api/devices/left/shadow", {"mode": "bypass"})
    root("PATCH", "/api/devices/left", {"name": "Ada's left ear"})
    root("DELETE", "/api/devices/left")
    root("PUT", "/api/device-models/m", {"secondary": [0.0, 0.5]})
    root("POST", "/api/device-models/m/serials", {"serials": ["right"]})
    platform.clock.now += 1
    assert handler(claim("right", "ours"), LocalContext("provisioner"), platform.deps)["allowProvisioning"]
    found = entries()
    assert [(each["action"], each["subject"]) for each in found] == [
        ("device.register", "left"),
        ("device.credentials", "left"),
        ("device.privacy", "left"),
        ("device.firmware", "left"),
        ("device.rename", "left"),
        ("device.remove", "left"),
        ("device.expect", "right"),
        ("device.claim", "right"),
    ]
    assert found[2]["detail"] == {"private": "true"}
    assert found[3]["detail"] == {"version": "1.2.3", "sha256": "0" * 64}
    assert found[4]["detail"] == {"owner": "root"}, "without the name, which may be personal"
    assert (found[7]["user"], found[7]["detail"]["owner"]) == ("headset", "root")


def test_entries_name_the_api_key_that_was_used(
    root: Call, call: Call, entries: Any, platform: FakePlatform
) -> None:
    key = root("POST", "/api/users/me/keys", {"name": "robot", "role": "admin"})["id"]
    platform.clock.now += 1
    assert call("POST", "/api/devices", HEADSET, "root", "admin", key=key)[0] == 201
    assert entries()[-1]["api_key"] == key


def test_entries_name_users_by_their_sign_in_name(
    root: Call, call: Call, entries: Any, platform: FakePlatform
) -> None:
    ada = root("POST", "/api/users", {"username": "ada", "password": PASSWORD})["user"]
    platform.clock.now += 1
    assert call("POST", "/api/devices", HEADSET, ada)[0] == 201
    assert (entries()[-1]["user"], entries()[-1]["name"]) == (ada, "ada")


def test_entries_are_listed_by_page_newest_first(root: Call, call: Call) -> None:
    for name in "abcde":
        root("POST", "/api/users/me/keys", {"name": name})
    seen, after = [], ""
    while after is not None:
        page = call("GET", "/api/audit", user="root", role="admin", limit="2", after=after)[1]
        seen += [entry["detail"]["name"] for entry in page["entries"]]
        after = page["next"]
    assert seen == ["e", "d", "c", "b", "a"]


@pytest.mark.parametrize("role", ["listener", "operator"])
def test_only_admins_read_the_audit_log(call: Call, role: str) -> None:
    assert call("GET", "/api/audit", user="olga", role=role)[0] == 403


def test_entries_expire_after_a_year(root: Call, entries: Any, platform: FakePlatform) -> None:
    root("POST", "/api/users/me/keys", {"name": "robot"})
    platform.clock.now += 364 * 86_400
    assert len(entries()) == 1
    platform.clock.now += 2 * 86_400
    assert entries() == []


def test_no_entry_holds_a_secret(root: Call, entries: Any) -> None:
    root("POST", "/api/users", {"username": "ada", "password": PASSWORD})
    key = root("POST", "/api/users/me/keys", {"name": "robot"})["key"]
    made = root("POST", "/api/devices", HEADSET)
    root("PATCH", "/api/devices/left/shadow", {"firmware": FIRMWARE})
    text = str(entries())
    for secret in (PASSWORD, key.split("_", 2)[2], made["credentials"]["private_key"], "s3cr3t"):
        assert not secret or secret not in text


def test_a_forbidden_change_changes_nothing_and_is_not_logged(call: Call, entries: Any) -> None:
    assert call("POST", "/api/users/me/keys", {"name": "robot", "role": "admin"})[0] == 403
    assert call("DELETE", "/api/devices/left")[0] == 404
    assert entries() == []
