"""Read the credentials of a remote headset, and reject invalid ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.auth.certificates import Authority
from tools.cli.remote_headset import MQTT_TLS_PORT, InvalidCredentials, read_identity


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the `credentials` object of a registration response."""
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


def test_a_registration_response_has_name_and_endpoint(issued: dict[str, Any], file: Path) -> None:
    file.write_text(json.dumps({"thing": "left", "model": "m", "credentials": issued}))
    identity = read_identity(file, None, None)
    assert identity.thing == "left"
    assert identity.credentials._asdict() == issued | {"environment": ""}


def test_bare_credentials_are_accepted_and_options_take_precedence(
    issued: dict[str, Any], file: Path
) -> None:
    bare = {name: issued[name] for name in ("certificate", "private_key")}
    file.write_text(json.dumps(bare))
    identity = read_identity(file, "abc-ats.iot.eu-west-1.amazonaws.com", None)
    assert (identity.thing, identity.credentials.port) == ("left", MQTT_TLS_PORT)
    assert identity.credentials.endpoint == "abc-ats.iot.eu-west-1.amazonaws.com"
    assert "BEGIN CERTIFICATE" in identity.credentials.ca
    assert read_identity(file, "localhost:1234", "right").thing == "right"
    assert read_identity(file, "localhost:1234", None).credentials.port == 1234


@pytest.mark.parametrize(
    ("changes", "endpoint", "message"),
    [
        ({"private_key": "-----BEGIN"}, None, "is not PEM"),
        ({"certificate": ""}, None, "is not PEM"),
        ({"port": "many"}, None, r"credentials\.port: must be an integer \(got a string\)"),
        ({"endpoint": ""}, None, "set --endpoint"),
        ({}, "host:0", "between 1 and 65535"),
        ({}, "host:port", "between 1 and 65535"),
        ({}, ":8883", "HOST"),
    ],
)
def test_invalid_credentials_and_endpoints_are_rejected(
    issued: dict[str, Any], file: Path, changes: dict[str, Any], endpoint: str | None, message: str
) -> None:
    file.write_text(json.dumps(issued | changes))
    with pytest.raises(InvalidCredentials, match=message):
        read_identity(file, endpoint, None)


def test_a_foreign_key_and_unreadable_files_are_rejected(
    issued: dict[str, Any], file: Path, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "ca").issue("left")
    file.write_text(json.dumps(issued | {"private_key": other.private_key}))
    with pytest.raises(InvalidCredentials, match="does not match the certificate"):
        read_identity(file, None, None)
    file.write_text("[]")
    with pytest.raises(InvalidCredentials, match=r"must be an object \(got an array\)"):
        read_identity(file, None, None)
    file.write_text("{")
    with pytest.raises(InvalidCredentials, match="not a JSON document"):
        read_identity(file, None, None)
    with pytest.raises(InvalidCredentials, match="No such file"):
        read_identity(tmp_path / "nowhere.json", None, None)
