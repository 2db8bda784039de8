"""What a token says, and what counts of it."""

import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from anc.access_records import Account
from anc.schemas.refusal import Refused
from anc.services.access import identity
from anc.services.access.identity import Caller
from tests.fakes import Clock, FakePlatform, make_dependencies, signing_key

NOW = 1_790_000_000


@pytest.fixture
def platform(tmp_path: Path) -> FakePlatform:
    return make_dependencies(tmp_path, Clock(time.time()))


def token(platform: FakePlatform, **changes: Any) -> str:
    """Sign a token of Ada's that may have been issued by another issuer, such as a user pool."""
    now = int(time.time())
    claims = {"sub": "ada", "iss": "anc-local", "aud": "anc", "iat": now, "exp": now + 600} | changes
    kid = platform.issuer.jwks()["keys"][0]["kid"]
    return jwt.encode(claims, signing_key(), "RS256", {"kid": kid})


def test_a_token_that_is_valid_for_longer_than_any_may_be_is_refused(platform: FakePlatform) -> None:
    now = int(time.time())
    identity.verify(token(platform, iat=now, exp=now + 12 * 3600), platform.deps)
    with pytest.raises(Refused, match="more than the 12 h allowed"):
        identity.verify(token(platform, iat=now, exp=now + 24 * 3600), platform.deps)


def test_a_pool_s_token_does_no_more_than_the_account_whatever_its_groups_say(platform: FakePlatform) -> None:
    admin = token(platform, **{"cognito:groups": ["admin", "listener"]})
    assert identity.verify(admin, platform.deps).role == "admin"
    platform.deps.accounts.put(Account(key="ada", name="ada", role="operator"))
    platform.deps.read_cache.invalidate("accounts", "ada")
    assert identity.verify(admin, platform.deps).role == "operator"


def test_of_an_issuer_that_counts_whole_seconds_a_token_of_the_same_second_is_taken(
    platform: FakePlatform,
) -> None:
    now = int(time.time())
    platform.deps.accounts.put(Account(key="ada", name="ada", role="operator", valid_from=now + 0.7))
    assert identity.verify(token(platform, iat=now), platform.deps).user == "ada"
    with pytest.raises(Refused, match="sign in again"):
        identity.verify(token(platform, iat=now - 1), platform.deps)


def test_tokens_of_the_platform_s_own_issuer_are_told_apart_within_a_second(platform: FakePlatform) -> None:
    now = int(time.time())
    platform.deps.accounts.put(Account(key="ada", name="ada", role="operator", valid_from=now + 0.7))
    with pytest.raises(Refused, match="sign in again"):
        identity.verify(token(platform, iat=now + 0.699), platform.deps)
    assert identity.verify(token(platform, iat=now + 0.701), platform.deps).user == "ada"


def test_who_was_let_in_earlier_is_looked_at_again(platform: FakePlatform) -> None:
    caller = Caller("ada", "admin", since=NOW)
    assert identity.refresh(caller, platform.deps) == caller
    platform.deps.accounts.put(Account(key="ada", name="ada", role="listener", valid_from=NOW))
    platform.deps.read_cache.invalidate("accounts", "ada")
    assert identity.refresh(caller, platform.deps) == Caller("ada", "listener", since=NOW)
    with pytest.raises(Refused, match="sign in again"):
        identity.refresh(Caller("ada", "admin", since=NOW - 1), platform.deps)


def test_another_process_s_change_of_rights_is_seen_within_five_seconds(platform: FakePlatform) -> None:
    admin = platform.issuer.issue("ada", "admin")
    assert identity.verify(admin, platform.deps).role == "admin"
    platform.deps.accounts.put(Account(key="ada", name="ada", role="listener"))  # by another process
    platform.clock.now += 5.1
    assert identity.verify(admin, platform.deps).role == "listener"


def test_a_promotion_by_another_process_counts_from_the_next_token_on(platform: FakePlatform) -> None:
    classifier_stream = Account(key="ada", name="ada", role="listener")
    stored = platform.deps.accounts.put(classifier_stream)
    assert identity.verify(platform.issuer.issue("ada", "listener"), platform.deps).role == "listener"
    platform.deps.accounts.put(stored.replace(role="operator"))  # by another process
    assert identity.verify(platform.issuer.issue("ada", "operator"), platform.deps).role == "operator"
