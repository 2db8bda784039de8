"""The edition's own issuer: one key for the life of a data folder, and tokens that verify against it."""

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

from anc.services.identity import ALGORITHM
from anc.settings import Settings
from local.folder import UnusableFolder
from local.issuer import Issuer, discard_published_key
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


@pytest.mark.parametrize("content", ["", "nothing", "elliptic"])
def test_a_file_that_holds_no_key_of_ours_stops_the_start(tmp_path: Path, content: str) -> None:
    if content == "elliptic":
        key = ec.generate_private_key(ec.SECP256R1())
        content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    (tmp_path / "issuer.pem").write_text(content)
    with pytest.raises(UnusableFolder, match=r"issuer\.pem: not .*; restore it from a backup"):
        Issuer(tmp_path, Settings())


@pytest.fixture
def published(tmp_path: Path, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give a token that somebody signed with a key out of the repository; the folder has that key."""
    key = issuer.key_for(token := issuer.issue("mallory", "admin"))
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    monkeypatch.setattr("local.issuer.PUBLISHED_KEY", hashlib.sha256(der).hexdigest())
    return token


def test_a_key_that_was_published_is_replaced_at_a_start_and_what_it_signed_is_void(
    tmp_path: Path, published: str
) -> None:
    notice = discard_published_key(tmp_path)
    assert "published" in notice
    assert "tokens made before are void" in notice
    assert "\n" not in notice
    renewed = Issuer(tmp_path, Settings())
    with pytest.raises(LookupError):
        renewed.key_for(published)
    assert discard_published_key(tmp_path) == ""
    assert Issuer(tmp_path, Settings()).jwks() == renewed.jwks()


def test_with_a_key_that_was_published_no_token_is_made(tmp_path: Path, published: str) -> None:
    with pytest.raises(UnusableFolder, match="start the platform again"):
        Issuer(tmp_path, Settings())


def test_a_key_that_is_missing_from_the_folder_of_a_platform_is_made_and_the_owner_is_told(
    tmp_path: Path,
) -> None:
    assert discard_published_key(tmp_path) == "", "a new folder"
    (tmp_path / "anc.db").touch()
    assert "because there was none; tokens made before are void" in discard_published_key(tmp_path)
