"""The token issuer of the local platform: signing key, tokens, rotation."""

import hashlib
import json
import multiprocessing
import stat
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from anc.lifetimes import MAX_TOKEN_HOURS
from anc.services.access.identity import ALGORITHM
from anc.settings import Settings
from local.auth.issuer import Issuer, discard_published_key
from local.data_folder import UnusableFolder
from tests.fakes import Clock
from tests.processes import PATIENCE_S


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path, Settings())


def key_ids(folder: Path, count: int, found: "multiprocessing.Queue[str]") -> None:
    for _ in range(count):
        found.put(Issuer(folder, Settings()).jwks()["keys"][0]["kid"])


def test_a_token_has_subject_role_issuer_audience_and_expiry(issuer: Issuer) -> None:
    start = int(time.time())
    token = issuer.issue("ann", "operator", hours=2)
    claims = jwt.decode(token, issuer.key_for(token), [ALGORITHM], audience="anc", issuer="anc-local")
    assert (claims["sub"], claims["role"]) == ("ann", "operator")
    assert claims["exp"] - claims["iat"] == 7200
    assert start <= claims["iat"] <= time.time() + 1  # a clock may be set back


def test_issuer_and_audience_come_from_the_settings(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path, Settings(token_issuer="https://site-7", token_audience="hall"))
    token = issuer.issue("ann", "listener")
    claims = jwt.decode(token, issuer.key_for(token), [ALGORITHM], audience="hall")
    assert (claims["iss"], claims["aud"]) == ("https://site-7", "hall")


def test_a_token_survives_a_restart(tmp_path: Path, issuer: Issuer) -> None:
    token = issuer.issue("ann", "listener")
    restarted = Issuer(tmp_path, Settings())
    assert jwt.decode(token, restarted.key_for(token), [ALGORITHM], audience="anc")["sub"] == "ann"


def test_the_published_key_verifies_a_token_and_holds_nothing_private(issuer: Issuer) -> None:
    token = issuer.issue("ann", "listener")
    published = json.loads(json.dumps(issuer.jwks()))
    (key,) = published["keys"]
    assert set(key) == {"kty", "n", "e", "key_ops", "kid", "use", "alg"}
    assert jwt.decode(token, jwt.PyJWKSet.from_dict(published)[key["kid"]], [ALGORITHM], audience="anc")


def test_the_key_is_readable_by_its_owner_alone(tmp_path: Path, issuer: Issuer) -> None:
    assert stat.S_IMODE((tmp_path / "issuer.pem").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["issuer.pem"]


def test_processes_that_start_together_on_a_new_folder_agree_on_one_key(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    found: multiprocessing.Queue[str] = spawn.Queue()
    others = [spawn.Process(target=key_ids, args=(tmp_path / "new", 1, found)) for _ in range(2)]
    for other in others:
        other.start()
    ids = {found.get(timeout=PATIENCE_S) for _ in others}
    for other in others:
        other.join(PATIENCE_S)
    assert ids == {Issuer(tmp_path / "new", Settings()).jwks()["keys"][0]["kid"]}


def test_a_token_of_another_folder_has_no_key_here(tmp_path: Path, issuer: Issuer) -> None:
    foreign = Issuer(tmp_path / "other", Settings()).issue("ann", "admin")
    with pytest.raises(LookupError, match="unknown key"):
        issuer.key_for(foreign)


@pytest.mark.parametrize("content", ["", "nothing", "elliptic"])
def test_a_damaged_key_file_is_an_error(tmp_path: Path, content: str) -> None:
    if content == "elliptic":
        key = ec.generate_private_key(ec.SECP256R1())
        content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    (tmp_path / "issuer.pem").write_text(content)
    with pytest.raises(UnusableFolder, match=r"issuer\.pem: must be .*; restore it from a backup"):
        Issuer(tmp_path, Settings())


@pytest.fixture
def published(tmp_path: Path, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a token signed with a published key, which is in the folder."""
    key = issuer.key_for(token := issuer.issue("mallory", "admin"))
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    monkeypatch.setattr("local.auth.issuer.PUBLISHED_KEY", hashlib.sha256(der).hexdigest())
    return token


def test_a_published_key_is_replaced_at_the_start_and_its_tokens_are_invalid(
    tmp_path: Path, published: str
) -> None:
    notice = discard_published_key(tmp_path)
    assert "published" in notice
    assert "earlier tokens are invalid" in notice
    assert "\n" not in notice
    renewed = Issuer(tmp_path, Settings())
    with pytest.raises(LookupError):
        renewed.key_for(published)
    assert discard_published_key(tmp_path) == ""
    assert Issuer(tmp_path, Settings()).jwks() == renewed.jwks()


def test_a_published_key_issues_no_tokens(tmp_path: Path, published: str) -> None:
    with pytest.raises(UnusableFolder, match="restart the platform"):
        Issuer(tmp_path, Settings())


def test_a_missing_key_is_created_with_a_notice_for_the_owner(
    tmp_path: Path,
) -> None:
    assert discard_published_key(tmp_path) == "", "a new folder"
    (tmp_path / "anc.db").touch()
    assert "because there was none; earlier tokens are invalid" in discard_published_key(tmp_path)


def test_the_lifetime_of_a_token_is_limited(issuer: Issuer) -> None:
    for hours in (MAX_TOKEN_HOURS + 0.1, 0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="at most 12"):
            issuer.issue("ann", "listener", hours)


def test_the_time_of_issue_has_fractions_of_a_second(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path, Settings(), lambda: 1_790_000_000.7)
    claims = jwt.decode(issuer.issue("ann", "listener"), options={"verify_signature": False})
    assert claims["iat"] == pytest.approx(1_790_000_000.7, abs=0.001)
    assert claims["iat"] >= 1_790_000_000.7


def of(token: str, issuer: Issuer) -> str:
    """Return the subject of a token if it verifies, regardless of the wall clock."""
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, issuer.key_for(token), [ALGORITHM], audience="anc", options=options)
    return str(claims["sub"])


def test_after_a_rotation_old_tokens_stay_valid_until_they_expire(tmp_path: Path, clock: Clock) -> None:
    issuer = Issuer(tmp_path, Settings(), clock)
    old = issuer.issue("ann", "listener")
    kid, until = issuer.rotate()
    new = issuer.issue("bob", "listener")
    assert jwt.get_unverified_header(new)["kid"] == kid != jwt.get_unverified_header(old)["kid"]
    assert (of(old, issuer), of(new, issuer)) == ("ann", "bob")
    clock.now += MAX_TOKEN_HOURS * 3600
    assert clock.now < until < clock.now + 60
    assert of(old, issuer) == "ann"
    clock.now += 60
    with pytest.raises(LookupError, match="unknown key"):
        issuer.key_for(old)
    assert of(new, issuer) == "bob"


def test_the_key_set_lists_all_valid_keys(tmp_path: Path, clock: Clock) -> None:
    issuer = Issuer(tmp_path, Settings(), clock)
    tokens = [issuer.issue("ann", "listener")]
    for _ in range(2):
        issuer.rotate()
        tokens.append(issuer.issue("ann", "listener"))
        clock.now += 3600
    published = json.loads(json.dumps(issuer.jwks()))
    kids = [jwt.get_unverified_header(token)["kid"] for token in tokens]
    assert published["keys"][0]["kid"] == kids[-1], "the one that signs comes first"
    assert {key["kid"] for key in published["keys"]} == set(kids)
    assert all(set(key) == {"kty", "n", "e", "key_ops", "kid", "use", "alg"} for key in published["keys"])
    keys = jwt.PyJWKSet.from_dict(published)
    for kid, token in zip(kids, tokens, strict=True):
        jwt.decode(
            token, keys[kid], [ALGORITHM], audience="anc", options={"verify_exp": False, "verify_iat": False}
        )
    clock.now += (MAX_TOKEN_HOURS + 1) * 3600
    assert [key["kid"] for key in issuer.jwks()["keys"]] == kids[-1:]


def test_an_immediate_rotation_rejects_all_earlier_tokens(tmp_path: Path, clock: Clock) -> None:
    issuer = Issuer(tmp_path, Settings(), clock)
    oldest = issuer.issue("ann", "listener")
    issuer.rotate()
    old = issuer.issue("ann", "listener")
    issuer.rotate(at_once=True)
    for token in (oldest, old):
        with pytest.raises(LookupError):
            issuer.key_for(token)
    assert len(issuer.jwks()["keys"]) == 1
    assert of(issuer.issue("ann", "listener"), issuer) == "ann"


def test_a_rotation_by_another_process_applies_to_the_next_token(tmp_path: Path) -> None:
    running, command = Issuer(tmp_path, Settings()), Issuer(tmp_path, Settings())
    old = running.issue("ann", "listener")
    kid, _ = command.rotate()
    new = command.issue("bob", "listener")
    assert (of(new, running), of(old, running)) == ("bob", "ann")
    assert jwt.get_unverified_header(running.issue("ann", "listener"))["kid"] == kid
    command.rotate(at_once=True)
    with pytest.raises(LookupError):
        running.key_for(new)


def test_an_interrupted_rotation_loses_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, issuer: Issuer
) -> None:
    token = issuer.issue("ann", "listener")
    with monkeypatch.context() as patch:
        patch.setattr("local.auth.issuer._store_new", lambda *arguments, **options: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            issuer.rotate()
    assert of(token, issuer) == of(token, Issuer(tmp_path, Settings())) == "ann"
    assert len(issuer.jwks()["keys"]) == 1, "the key that signs is listed once"
    issuer.rotate()
    assert of(token, issuer) == "ann"


def test_the_old_private_key_is_deleted(tmp_path: Path, issuer: Issuer) -> None:
    before = (tmp_path / "issuer.pem").read_text()
    issuer.rotate()
    for path in tmp_path.iterdir():
        assert before.splitlines()[5] not in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
