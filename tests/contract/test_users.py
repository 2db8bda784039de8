"""Contract of `anc.ports.Users`."""

from typing import Any

import jwt
import pytest

from anc.ports import CodeRequired, Conflict
from local.auth.totp import code_at
from tests.contract.conftest import SIGN_IN_TIME

PASSWORD = "Correct-horse-7-battery"


def test_a_new_user_signs_in_with_the_given_password_and_role(users: Any) -> None:
    person = users.create("ada@example.org", PASSWORD, "operator")
    grant = users.sign_in("ada@example.org", PASSWORD)
    assert grant.role == "operator"
    assert grant.expires_in == 3600
    claims = jwt.decode(grant.token, options={"verify_signature": False})
    assert claims["sub"] == person.user
    assert claims.get("role", claims.get("cognito:groups")) in ("operator", ["operator"])


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada@example.org", "Wrong-horse-7-battery"), ("bob@example.org", PASSWORD), ("ada@example.org", "x")],
)
def test_a_wrong_name_and_a_wrong_password_look_the_same(users: Any, name: str, password: str) -> None:
    users.create("ada@example.org", PASSWORD, "listener")
    assert users.sign_in(name, password) is None


def test_a_name_is_unique(users: Any) -> None:
    first = users.create("ada@example.org", PASSWORD, "listener")
    with pytest.raises(Conflict):
        users.create("ada@example.org", "Another-horse-7-battery", "admin")
    assert users.get(first.user) == first
    assert users.sign_in("ada@example.org", PASSWORD) is not None


def test_users_are_listed_by_page_with_their_roles(users: Any) -> None:
    roles = ["listener", "operator", "admin", "listener", "operator"]
    made = {users.create(f"p{i}@example.org", PASSWORD, role).user: role for i, role in enumerate(roles)}
    seen: dict[str, str] = {}
    after = ""
    for _ in range(len(made)):
        page, after = users.list(limit=2, after=after)
        assert len(page) <= 2
        seen |= {person.user: person.role for person in page}
        if not after:
            break
    assert seen == made


def test_a_new_role_applies_to_the_next_token(users: Any) -> None:
    user = users.create("ada@example.org", PASSWORD, "admin").user
    users.set_role(user, "listener")
    assert users.get(user).role == "listener"
    assert users.sign_in("ada@example.org", PASSWORD).role == "listener"


def test_a_removed_user_cannot_sign_in(users: Any) -> None:
    user = users.create("ada@example.org", PASSWORD, "listener").user
    users.delete(user)
    users.delete(user)
    assert users.get(user) is None
    assert users.sign_in("ada@example.org", PASSWORD) is None
    with pytest.raises(LookupError):
        users.set_role(user, "admin")


def test_a_new_user_of_the_same_name_gets_a_new_id(users: Any) -> None:
    user = users.create("ada@example.org", PASSWORD, "listener").user
    users.delete(user)
    again = users.create("ada@example.org", PASSWORD, "listener")
    assert again.user != user
    assert users.sign_in("ada@example.org", PASSWORD).user == again.user
    assert users.get(user) is None


def enabled(users: Any) -> tuple[str, str]:
    """Create a user with a second factor and return the id and the secret."""
    user = users.create("ada@example.org", PASSWORD, "admin").user
    secret = users.begin_second_factor("ada@example.org", PASSWORD)
    assert users.confirm_second_factor("ada@example.org", PASSWORD, code_at(secret, SIGN_IN_TIME))
    return user, secret


def test_a_second_factor_counts_once_it_is_confirmed(users: Any) -> None:
    users.create("ada@example.org", PASSWORD, "admin")
    secret = users.begin_second_factor("ada@example.org", PASSWORD)
    wrong = f"{(int(code_at(secret, SIGN_IN_TIME)) + 1) % 10**6:06d}"
    assert not users.confirm_second_factor("ada@example.org", PASSWORD, wrong)
    assert users.sign_in("ada@example.org", PASSWORD) is not None


def test_a_user_with_a_second_factor_needs_password_and_code(users: Any) -> None:
    _, secret = enabled(users)
    with pytest.raises(CodeRequired):
        users.sign_in("ada@example.org", PASSWORD)
    code = code_at(secret, SIGN_IN_TIME + users.ahead_s)  # that of the confirmation was used
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    assert users.sign_in("ada@example.org", PASSWORD, wrong) is None
    assert users.sign_in("ada@example.org", "Wrong-horse-7-battery", code) is None
    assert users.sign_in("ada@example.org", PASSWORD, code).role == "admin"


def test_a_second_factor_cannot_be_replaced_with_the_password(users: Any) -> None:
    _, secret = enabled(users)
    with pytest.raises(CodeRequired):
        users.begin_second_factor("ada@example.org", PASSWORD)
    with pytest.raises(CodeRequired):
        users.confirm_second_factor("ada@example.org", PASSWORD, code_at(secret, SIGN_IN_TIME))


def test_a_second_factor_needs_the_password(users: Any) -> None:
    users.create("ada@example.org", PASSWORD, "admin")
    assert users.begin_second_factor("ada@example.org", "Wrong-horse-7-battery") is None
    secret = users.begin_second_factor("ada@example.org", PASSWORD)
    code = code_at(secret, SIGN_IN_TIME)
    assert not users.confirm_second_factor("ada@example.org", "Wrong-horse-7-battery", code)


def test_without_its_second_factor_a_user_signs_in_with_the_password(users: Any) -> None:
    user, _ = enabled(users)
    users.remove_second_factor(user)
    assert users.sign_in("ada@example.org", PASSWORD).user == user
    users.delete(user)
    users.remove_second_factor(user)
