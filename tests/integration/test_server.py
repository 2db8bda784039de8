"""Starting and stopping the local platform with `anc up`."""

import io
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import jwt
import numpy as np
import pytest
import soundfile
from websockets.exceptions import ConnectionClosed

from anc.settings import Settings
from local.auth.issuer import Issuer
from local.public_address import PublicAddress
from local.server import LocalPlatform
from tests.processes import ANC, PATIENCE_S, Platform

Start = Callable[..., Platform]
SECRETS = ("eyJ", "PRIVATE KEY", "Bearer")


@pytest.fixture
def platform(shared_platform: Platform) -> Platform:
    return shared_platform


def up(platform: Platform, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Start another platform, which must exit by itself."""
    return subprocess.run(
        [ANC, "up", *arguments],
        capture_output=True,
        text=True,
        cwd=platform.folder,
        env={**platform.environ, **environ},
        timeout=PATIENCE_S,
        check=False,
    )


def noise(seconds: float = 1.0, rate: int = 16_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(
        buffer, 0.1 * np.random.default_rng(0).standard_normal(int(seconds * rate)), rate, format="WAV"
    )
    return buffer.getvalue()


def test_a_started_platform_is_healthy(platform: Platform) -> None:
    status, health = platform.request("GET", "/health")
    assert (status, health["status"]) == (200, "ok")


def test_published_keys_verify_the_tokens_of_anc_token(platform: Platform) -> None:
    _, keys = platform.request("GET", "/.well-known/jwks.json")
    token = platform.token("ann")
    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, ["RS256"], audience="anc", issuer="anc-local")
    assert (claims["sub"], claims["role"]) == ("ann", "listener")


def test_missing_and_foreign_tokens_are_rejected(platform: Platform, tmp_path: Path) -> None:
    platform.tokens["stranger"] = Issuer(tmp_path, Settings()).issue("stranger", "admin")
    for user in (None, "stranger"):
        status, document = platform.request("GET", "/api/sessions", user=user)
        assert (status, document["status"], document["title"]) == (401, 401, "Unauthorized")


def test_an_invalid_setting_prevents_the_start_and_is_named(platform: Platform, tmp_path: Path) -> None:
    refused = up(platform, "--data", str(tmp_path / "data"), EMERGENCY_CONFIDENCE_THRESHOLD="1.5")
    assert refused.returncode == 2
    assert refused.stderr == "anc: EMERGENCY_CONFIDENCE_THRESHOLD=1.5: must be less than 1\n"
    assert not (tmp_path / "data").exists()


def test_the_data_folder_is_accessible_to_its_owner_only(platform: Platform) -> None:
    assert stat.S_IMODE(platform.data.stat().st_mode) == 0o700
    for key in (platform.data / "issuer.pem", *platform.data.rglob("*.key")):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600, key


def test_noise_is_classified_over_rest(platform: Platform) -> None:
    status, prediction = platform.request("POST", "/api/audio/classify", noise(), user="ann")
    assert status == 200
    assert (prediction["label"], prediction["model"]) == ("machine", "untrained")
    status, refused = platform.request("POST", "/api/audio/classify", b"\xff\x00garbage", user="ann")
    assert (status, refused["code"]) == (400, "bad_field")


def test_stopping_closes_connections_and_releases_the_folder(start: Start) -> None:
    platform = start()
    with platform.connect("ann") as socket:
        assert socket.ask(action="ping") == {"type": "pong"}
        platform.stop()
        with pytest.raises(ConnectionClosed) as end:
            socket.receive()
    assert end.value.rcvd is not None, "a close frame, not a dead line"
    assert (
        LocalPlatform(platform.data, PublicAddress.of("127.0.0.1", platform.port), Settings()).deps.settings
        == Settings()
    )


def test_tokens_keys_and_audio_are_not_logged(start: Start) -> None:
    platform = start(POWERTOOLS_LOG_LEVEL="DEBUG", ML_MODEL_PATH="")
    pcm = "QUJD" * 1200
    with platform.connect("ann") as socket:
        session = socket.ask(action="start", taps=16)["session"]
        for frame in ({"seq": 0}, {"seq": 0, "session": "foreign"}, {"seq": 0, "more": 1}, {"seq": -1}):
            socket.ask(**{"action": "audio", "session": session, "pcm": pcm} | frame)
    platform.tokens["mallory"] = platform.token("ann")[:-8] + "AAAAAAAA"
    assert platform.request("GET", "/api/sessions", user="mallory")[0] == 401
    registration = {"thing": "left", "secondary": [0.0, 1.0]}
    assert platform.request("POST", "/api/devices", registration, user="ann")[0] == 201
    platform.stop()
    log = platform.log.read_text() + platform.printed
    assert "refused" in log, "at this level it does speak"
    assert pcm[:40] not in log
    for secret in (*SECRETS, *platform.token("ann").split("."), *platform.tokens["mallory"].split(".")):
        assert secret not in log, secret
