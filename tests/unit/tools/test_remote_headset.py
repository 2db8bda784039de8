"""Credentials of a headset that is registered anywhere: what is taken, and what is said of what is not."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.auth.certificates import Authority
from tools.cli.remote_headset import MQTT_TLS_PORT, Unusable, identity


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return credentials as a platform gives them out, as JSON would hold them."""
    made = Authority(tmp_path_factory.mktemp("ca")).issue("left")
    return {
        "certificate_id": made.id,
        "certificate": made.certificate,
        "private_key": made.private_key,
        "ca": "the authority",
        "endpoint": "broker.example",
        "port": 2000,
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "credentials.json"


def test_the_answer_to_a_registration_says_who_the_headset_is_and_where_it_goes(
    issued: dict[str, Any], file: Path
) -> None:
    file.write_text(json.dumps({"thing": "left", "model": "m", "credentials": issued}))
    who = identity(file, None, None)
    assert who.thing == "left"
    assert who.credentials._asdict() == issued


def test_bare_credentials_will_do_and_an_endpoint_that_is_given_counts(
    issued: dict[str, Any], file: Path
) -> None:
    bare = {name: issued[name] for name in ("certificate", "private_key")}
    file.write_text(json.dumps(bare))
    who = identity(file, "abc-ats.iot.eu-west-1.amazonaws.com", None)
    assert (who.thing, who.credentials.port) == ("left", MQTT_TLS_PORT)
    assert who.credentials.endpoint == "abc-ats.iot.eu-west-1.amazonaws.com"
    assert "BEGIN CERTIFICATE" in who.credentials.ca
    assert identity(file, "localhost:1234", "right")._replace(credentials=who.credentials).thing == "right"
    assert identity(file, "localhost:1234", None).credentials.port == 1234


@pytest.mark.parametrize(
    ("changes", "endpoint", "says"),
    [
        ({"private_key": "-----BEGIN"}, None, "is not PEM"),
        ({"certificate": ""}, None, "is not PEM"),
        ({"port": "many"}, None, "not credentials"),
        ({"endpoint": ""}, None, "say --endpoint"),
        ({}, "host:0", "1 to 65535"),
        ({}, "host:port", "1 to 65535"),
        ({}, ":8883", "HOST"),
    ],
)
def test_what_cannot_be_used_is_said(
    issued: dict[str, Any], file: Path, changes: dict[str, Any], endpoint: str | None, says: str
) -> None:
    file.write_text(json.dumps(issued | changes))
    with pytest.raises(Unusable, match=says):
        identity(file, endpoint, None)


def test_a_key_that_is_not_the_certificates_and_files_that_are_none_are_refused(
    issued: dict[str, Any], file: Path, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "ca").issue("left")
    file.write_text(json.dumps(issued | {"private_key": other.private_key}))
    with pytest.raises(Unusable, match="not that of the certificate"):
        identity(file, None, None)
    file.write_text("{")
    with pytest.raises(Unusable, match="not credentials"):
        identity(file, None, None)
    with pytest.raises(Unusable, match="No such file"):
        identity(tmp_path / "nowhere.json", None, None)
