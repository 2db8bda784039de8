"""The edition's own issuer: one key for the life of a data folder, and tokens that verify against it."""

import json
import multiprocessing
import stat
import time
from pathlib import Path

import jwt
import pytest

from anc.services.identity import ALGORITHM
from anc.settings import Settings
from local.issuer import Issuer
from tests.running import PATIENCE_S


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path, Settings())


def key_ids(folder: Path, count: int, found: "multiprocessing.Queue[str]") -> None:
    for _ in range(count):
        found.put(Issuer(folder, Settings()).jwks()["keys"][0]["kid"])


def test_a_token_says_who_for_whom_by_whom_and_until_when(issuer: Issuer) -> None:
    begun = int(time.time())
    token = issuer.issue("ann", "operator", hours=2)
    claims = jwt.decode(token, issuer.key_for(token), [ALGORITHM], audience="anc", issuer="anc-local")
    assert (claims["sub"], claims["role"]) == ("ann", "operator")
    assert claims["exp"] - claims["iat"] == 7200
    assert begun <= claims["iat"] <= time.time()


def test_issuer_and_audience_are_what_the_settings_say(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path, Settings(token_issuer="https://site-7", token_audience="hall"))
    token = issuer.issue("ann", "listener")
    claims = jwt.decode(token, issuer.key_for(token), [ALGORITHM], audience="hall")
    assert (claims["iss"], claims["aud"]) == ("https://site-7", "hall")


def test_a_token_outlives_a_restart(tmp_path: Path, issuer: Issuer) -> None:
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
    with pytest.raises(LookupError, match="does not have"):
        issuer.key_for(foreign)


def test_a_file_that_holds_no_key_of_ours_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "issuer.pem").write_text("-----BEGIN PRIVATE KEY-----\nnothing\n-----END PRIVATE KEY-----\n")
    with pytest.raises(ValueError, match=r"."):
        Issuer(tmp_path, Settings())
