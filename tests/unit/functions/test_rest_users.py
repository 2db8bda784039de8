"""Users and API keys over REST: sign-in, rights of keys, and removal of users."""

from collections.abc import Callable
from typing import Any

import pytest

from anc.ports import Dependencies
from anc.schemas.refusal import Refused
from anc.services.access import identity
from anc.services.sound import sessions
from local.auth.totp import STEP_S, code_at
from tests.fakes import FakePlatform

Call = Callable[..., tuple[int, Any, str]]
ADA = {"username": "ada", "password": "correct horse battery", "role": "operator"}


@pytest.fixture
def root(call: Call) -> Call:
    """Give `root(method, path, body)`: call the API as an admin."""
    return lambda method, path, body=None, **query: call(method, path, body, "root", "admin", **query)


def sign_in(call: Call, password: str = ADA["password"]) -> tuple[int, Any, str]:
    return call("POST", "/api/auth/token", {"username": "ada", "password": password})


def test_a_new_user_signs_in_with_a_token_that_the_authorizer_accepts(
    call: Call, root: Call, deps: Dependencies
) -> None:
    status, person, _ = root("POST", "/api/users", ADA)
    assert (status, person["name"], person["role"]) == (201, "ada", "operator")
    status, grant, _ = sign_in(call)
    assert (status, grant["role"], grant["expires_in"]) == (200, "operator", 3600)
    caller = identity.verify(grant["token"], deps)
    assert (caller.user, caller.role) == (person["user"], "operator")


@pytest.mark.parametrize("name", ["ada", "unknown"])
def test_a_refused_sign_in_does_not_say_what_was_wrong(call: Call, root: Call, name: str) -> None:
    root("POST", "/api/users", ADA)
    status, problem, _ = call("POST", "/api/auth/token", {"username": name, "password": "wrong"})
    assert (status, problem["code"]) == (401, "unauthorized")
    assert name not in problem["detail"]


def test_no_response_and_no_table_contains_a_password(root: Call, stored: Any) -> None:
    answer = root("POST", "/api/users", ADA)
    assert ADA["password"] not in str(answer)
    assert ADA["password"] not in str(stored())
    assert "$argon2id$" in str(stored())


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"password": "too short"}, 400, "password: must have at least 12 characters"),
        ({"username": "a b"}, 400, "username: must be 1 to 128 letters, digits or characters of ._@+-"),
        ({"username": "me"}, 409, "username: `me` is reserved for the caller"),
        ({"role": "emperor"}, 400, "role: must be one of listener, operator, admin (got 'emperor')"),
        ({"salary": 1}, 400, "salary: unknown field"),
    ],
)
def test_an_invalid_user_is_refused(
    root: Call, stored: Any, change: dict[str, Any], status: int, says: str
) -> None:
    before = stored()
    answer = root("POST", "/api/users", ADA | change)
    assert answer[0] == status
    assert says in answer[1]["detail"]
    assert stored() == before


def test_a_user_name_is_unique(root: Call) -> None:
    root("POST", "/api/users", ADA)
    assert root("POST", "/api/users", ADA)[:1] == (409,)


def test_users_are_listed_page_by_page(root: Call) -> None:
    for i in range(5):
        root("POST", "/api/users", ADA | {"username": f"p{i}"})
    first = root("GET", "/api/users", limit="3")[1]
    rest = root("GET", "/api/users", limit="3", after=first["next"])[1]
    assert [person["name"] for person in first["users"] + rest["users"]] == ["p0", "p1", "p2", "p3", "p4"]
    assert rest["next"] is None


def test_an_api_key_is_returned_once_and_authorizes_with_its_role(call: Call, deps: Dependencies) -> None:
    status, made, _ = call("POST", "/api/users/me/keys", {"name": "robot"}, role="operator")
    assert status == 201
    assert identity.verify(made["key"], deps) == identity.Caller("alice", "listener", made["id"])
    listed = call("GET", "/api/users/me/keys")[1]["keys"]
    assert listed == [{name: value for name, value in made.items() if name != "key"}]


def test_the_secret_of_an_api_key_is_not_stored(call: Call, stored: Any) -> None:
    made = call("POST", "/api/users/me/keys", {"name": "robot"})[1]
    secret = made["key"].split("_", 2)[2]
    assert secret not in str(stored())


def test_a_revoked_api_key_is_refused_at_once(call: Call, deps: Dependencies) -> None:
    made = call("POST", "/api/users/me/keys", {"name": "robot"})[1]
    path = f"/api/users/me/keys/{made['id']}"
    assert call("DELETE", path, user="mallory")[0] == 404
    assert identity.verify(made["key"], deps).user == "alice"
    assert call("DELETE", path)[0] == 204
    with pytest.raises(Refused, match="unknown API key"):
        identity.verify(made["key"], deps)


def test_an_api_key_expires_after_its_days(call: Call, platform: FakePlatform) -> None:
    made = call("POST", "/api/users/me/keys", {"name": "robot", "days": 1})[1]
    platform.clock.now += 86_399
    assert identity.verify(made["key"], platform.deps).user == "alice"
    platform.clock.now += 2
    with pytest.raises(Refused):
        identity.verify(made["key"], platform.deps)


@pytest.mark.parametrize("role", ["operator", "admin"])
def test_an_api_key_has_at_most_the_role_of_its_owner(call: Call, role: str) -> None:
    status, problem, _ = call("POST", "/api/users/me/keys", {"name": "robot", "role": role})
    assert (status, problem["code"]) == (403, "forbidden")


def test_an_api_key_cannot_create_api_keys(call: Call) -> None:
    key = call("POST", "/api/users/me/keys", {"name": "robot"})[1]["id"]
    status, problem, _ = call("POST", "/api/users/me/keys", {"name": "heir"}, key=key)
    assert (status, problem["code"]) == (403, "forbidden")


def test_a_lower_role_revokes_keys_with_a_higher_role(call: Call, root: Call) -> None:
    ada = root("POST", "/api/users", ADA)[1]["user"]
    for name, role in (("strong", "operator"), ("weak", "listener")):
        call("POST", "/api/users/me/keys", {"name": name, "role": role}, ada, "operator")
    assert root("PATCH", f"/api/users/{ada}", {"role": "listener"})[1]["role"] == "listener"
    assert [key["name"] for key in call("GET", "/api/users/me/keys", None, ada)[1]["keys"]] == ["weak"]
    assert sign_in(call)[1]["role"] == "listener"


def test_removing_a_user_removes_keys_sessions_recordings_and_headsets(
    call: Call, root: Call, platform: FakePlatform
) -> None:
    ada = root("POST", "/api/users", ADA)[1]["user"]
    call("POST", "/api/users/me/keys", {"name": "robot"}, ada)
    call("POST", "/api/sessions", {}, ada)
    job = call("POST", "/api/audio/uploads", {"size": 5}, ada)[1]["job"]
    platform.deps.objects.put(f"uploads/{job}", b"sound")
    call("POST", "/api/devices", {"thing": "left", "secondary": [0.5]}, ada)
    assert root("DELETE", f"/api/users/{ada}")[0] == 204
    assert sign_in(call)[0] == 401
    deps = platform.deps
    for table in (deps.api_keys, deps.streams, deps.jobs, deps.devices):
        assert not table.list(ada)
    assert deps.objects.get(f"uploads/{job}") is None
    assert platform.things.revoked == ["cert-left-1"]
    assert root("GET", f"/api/users/{ada}")[0] == 404
    assert root("DELETE", f"/api/users/{ada}")[0] == 404


def test_an_interrupted_removal_can_be_repeated_and_removes_the_rest(
    call: Call, root: Call, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = root("POST", "/api/users", ADA)[1]["user"]
    call("POST", "/api/devices", {"thing": "left", "secondary": [0.5]}, ada)
    with monkeypatch.context() as broken:
        broken.setattr(platform.things, "revoke", lambda *_: 1 / 0)
        assert root("DELETE", f"/api/users/{ada}")[0] == 500
    assert root("DELETE", f"/api/users/{ada}")[0] == 204
    assert not platform.deps.devices.list(ada)
    assert sign_in(call)[0] == 401


def test_a_session_that_ends_during_a_removal_does_not_fail_it(
    call: Call, root: Call, platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = root("POST", "/api/users", ADA)[1]["user"]
    opened = [call("POST", "/api/sessions", {}, ada)[1]["session"] for _ in range(2)]
    end = sessions.end

    def overtaken(*given: Any) -> Any:
        for session in opened:
            platform.deps.streams.delete(session)
        return end(*given)

    monkeypatch.setattr(sessions, "end", overtaken)
    assert root("DELETE", f"/api/users/{ada}")[0] == 204
    assert root("GET", f"/api/users/{ada}")[0] == 404


def test_every_caller_can_read_its_own_identity(call: Call) -> None:
    assert call("GET", "/api/users/me", user="olga", role="operator")[1] == {
        "user": "olga",
        "name": "olga",
        "role": "operator",
        "scopes": [],
    }


SECOND_FACTOR = "/api/users/me/second-factor"


def enable(call: Call, ada: str, platform: FakePlatform) -> str:
    """Set up the second factor of Ada and return its secret."""
    password = {"password": ADA["password"]}
    status, made, _ = call("POST", SECOND_FACTOR, password, ada)
    assert status == 201
    assert made["uri"] == f"otpauth://totp/ANC%20Platform:ada?secret={made['secret']}&issuer=ANC%20Platform"
    code = code_at(made["secret"], platform.clock.now)
    assert call("PUT", SECOND_FACTOR, password | {"code": code}, ada)[0] == 204
    return str(made["secret"])


def test_a_second_factor_is_required_at_each_sign_in_and_its_codes_count_once(
    call: Call, root: Call, platform: FakePlatform
) -> None:
    ada = root("POST", "/api/users", ADA)[1]["user"]
    secret = enable(call, ada, platform)
    status, problem, _ = sign_in(call)
    assert (status, problem["code"]) == (401, "code_required")
    body = {
        "username": "ada",
        "password": ADA["password"],
        "code": code_at(secret, platform.clock.now + STEP_S),
    }
    assert call("POST", "/api/auth/token", body)[0] == 200
    assert call("POST", "/api/auth/token", body)[0] == 401
    assert call("POST", SECOND_FACTOR, {"password": ADA["password"]}, ada)[1]["code"] == "exists"


def test_a_wrong_password_does_not_say_that_there_is_a_second_factor(
    call: Call, root: Call, platform: FakePlatform
) -> None:
    enable(call, root("POST", "/api/users", ADA)[1]["user"], platform)
    assert sign_in(call, "wrong")[1]["code"] == "unauthorized"


def test_a_stolen_token_cannot_set_up_or_remove_a_second_factor(call: Call, root: Call) -> None:
    ada = root("POST", "/api/users", ADA)[1]["user"]
    status, problem, _ = call("POST", SECOND_FACTOR, {"password": "wrong"}, ada)
    assert (status, problem["detail"]) == (400, "password: wrong")
    body = {"password": ADA["password"], "code": "000000"}
    assert call("PUT", SECOND_FACTOR, body, ada)[0] == 400
    assert call("DELETE", f"/api/users/{ada}/second-factor", None, ada)[0] == 403
    assert sign_in(call)[0] == 200


def test_an_admin_removes_the_second_factor_of_a_user_who_lost_it(
    call: Call, root: Call, platform: FakePlatform
) -> None:
    ada = root("POST", "/api/users", ADA)[1]["user"]
    enable(call, ada, platform)
    assert root("DELETE", f"/api/users/{ada}/second-factor")[0] == 204
    assert sign_in(call)[0] == 200
    assert root("DELETE", "/api/users/unknown/second-factor")[0] == 404
    actions = [entry["action"] for entry in root("GET", "/api/audit")[1]["entries"]]
    assert set(actions) >= {"second_factor.remove", "second_factor.enable"}


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "12345\n"])
def test_a_code_has_six_digits(call: Call, code: str) -> None:
    body = {"username": "ada", "password": ADA["password"], "code": code}
    status, problem, _ = call("POST", "/api/auth/token", body)
    assert (status, "code: must be six digits" in problem["detail"]) == (400, True)
