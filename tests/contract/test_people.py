"""Who may sign in: promises of `anc.ports.People`, of a Cognito user pool as of one machine."""

from typing import Any

import jwt
import pytest

from anc.ports import Conflict

PASSWORD = "Correct-horse-7-battery"


def test_who_was_added_signs_in_with_the_password_and_role_given(people: Any) -> None:
    person = people.create("ada@example.org", PASSWORD, "operator")
    grant = people.sign_in("ada@example.org", PASSWORD)
    assert grant.role == "operator"
    assert grant.expires_in == 3600
    claims = jwt.decode(grant.token, options={"verify_signature": False})
    assert claims["sub"] == person.user
    assert claims.get("role", claims.get("cognito:groups")) in ("operator", ["operator"])


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada@example.org", "Wrong-horse-7-battery"), ("bob@example.org", PASSWORD), ("ada@example.org", "x")],
)
def test_a_wrong_name_and_a_wrong_password_look_alike(people: Any, name: str, password: str) -> None:
    people.create("ada@example.org", PASSWORD, "listener")
    assert people.sign_in(name, password) is None


def test_a_name_is_taken_once(people: Any) -> None:
    first = people.create("ada@example.org", PASSWORD, "listener")
    with pytest.raises(Conflict):
        people.create("ada@example.org", "Another-horse-7-battery", "admin")
    assert people.get(first.user) == first
    assert people.sign_in("ada@example.org", PASSWORD) is not None


def test_people_are_listed_page_by_page_with_their_roles(people: Any) -> None:
    roles = ["listener", "operator", "admin", "listener", "operator"]
    made = {people.create(f"p{i}@example.org", PASSWORD, role).user: role for i, role in enumerate(roles)}
    seen: dict[str, str] = {}
    after = ""
    for _ in range(len(made)):
        page, after = people.list(limit=2, after=after)
        assert len(page) <= 2
        seen |= {person.user: person.role for person in page}
        if not after:
            break
    assert seen == made


def test_a_new_role_holds_from_the_next_token_on(people: Any) -> None:
    user = people.create("ada@example.org", PASSWORD, "admin").user
    people.set_role(user, "listener")
    assert people.get(user).role == "listener"
    assert people.sign_in("ada@example.org", PASSWORD).role == "listener"


def test_who_is_removed_is_gone_and_signs_in_no_more(people: Any) -> None:
    user = people.create("ada@example.org", PASSWORD, "listener").user
    people.delete(user)
    people.delete(user)
    assert people.get(user) is None
    assert people.sign_in("ada@example.org", PASSWORD) is None
    with pytest.raises(LookupError):
        people.set_role(user, "admin")


def test_somebody_new_of_the_same_name_is_somebody_else(people: Any) -> None:
    user = people.create("ada@example.org", PASSWORD, "listener").user
    people.delete(user)
    again = people.create("ada@example.org", PASSWORD, "listener")
    assert again.user != user
    assert people.sign_in("ada@example.org", PASSWORD).user == again.user
    assert people.get(user) is None
