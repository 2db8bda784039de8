"""Every entry point for sound files accepts the same files and reports the same errors."""

import base64
import contextlib
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from anc.schemas.refusal import Refused
from functions.classifier.handler import handler as classifier
from functions.rest_api.handler import handler as rest_api
from local.lambda_context import LocalContext
from local.lambda_events import rest_event
from tests.compressed import compressed, vbr_mp3
from tests.fakes import Clock, FakePlatform, make_dependencies
from tests.recordings import done, uploaded
from tests.sounds import RATE, cut, encoded, flac_of, floats, noise, wav
from tools.cli.main import app, scene_of
from training.recordings import load_sound

Entry = Callable[[Path, FakePlatform], str]
WHO = {"user": "alice", "role": "listener"}
SUPPORTED = (
    "supported are WAV, FLAC, Ogg (Vorbis, Opus, FLAC, Speex), MP3, MP4 (M4A), WebM, AAC, AMR, AIFF, CAF"
)
NOT_SOUND = f"not a sound file in a supported format; {SUPPORTED}"
UNREADABLE = (
    "the header is damaged or incomplete, or the encoding is not supported; save it again, for example as "
    "16-bit WAV"
)
NOT_FINITE = "samples must be finite (NaN or infinity at 0.25 s)"
DIVIDE = "divide them by full scale (32,768 for 16-bit values) and save the file again"


def spoiled(value: float) -> bytes:
    samples = noise()
    samples[RATE // 4, 1] = value
    return floats(samples)


REFUSED = {
    "nothing": (b"", f"empty (0 bytes); {SUPPORTED}"),
    "text": (b"not a sound\n" * 100, NOT_SOUND),
    "a web page": (b"<!DOCTYPE html><html><body>404</body></html>", NOT_SOUND),
    "a zip archive": (b"PK\x03\x04" + bytes(100), "a zip archive; unpack it and send the sound file itself"),
    "a compressed file": (
        gzip.compress(encoded(noise())),
        "compressed with gzip; decompress it and send the sound file itself",
    ),
    "base64": (base64.b64encode(encoded(noise())), "base64 text; decode it and send the bytes of the file"),
    "a film": (b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(4096), NOT_SOUND),
    "a format of libsndfile that is not supported": (encoded(noise(), "AU"), NOT_SOUND),
    "the beginning of a header": (b"RIFF\0\0\0\0WAVE", UNREADABLE),
    "no channels": (wav(bytes(3200), channels=0), UNREADABLE),
    "no samples, WAV": (wav(b"", 2), "contains no samples; record or save it again"),
    "no samples, AIFF": (encoded(noise(0.0), "AIFF"), "contains no samples; record or save it again"),
    "nine channels": (wav(bytes(18 * RATE), 9), "must have at most 8 channels (got 9)"),
    "a low rate": (
        wav(bytes(4 * RATE), 2, 7_999),
        "the sample rate must be 8,000 to 192,000 Hz (got 7,999 Hz); resample it",
    ),
    "a high rate": (
        wav(bytes(4 * RATE), 2, 384_000),
        "the sample rate must be 8,000 to 192,000 Hz (got 384,000 Hz); resample it",
    ),
    "not a number": (spoiled(np.nan), f"{NOT_FINITE}; replace them and save the file again"),
    "infinity": (spoiled(-np.inf), f"{NOT_FINITE}; replace them and save the file again"),
    "floats of 16-bit scale": (
        floats(np.rint(32_768 * noise())),
        f"floating-point samples must be within -1 to 1 (got 13,183); {DIVIDE}",
    ),
    "quiet floats of 16-bit scale": (
        floats(np.rint(100 * noise())),
        f"floating-point samples must be within -1 to 1 (got 40); {DIVIDE}",
    ),
}
ACCEPTED = {
    "WAV, 8 bit": encoded(noise(), subtype="PCM_U8"),
    "WAV, 16 bit": encoded(noise()),
    "WAV, extensible": encoded(noise(), "WAVEX", "PCM_24"),
    "WAV, float": floats(noise()),
    "WAV, mu-law": encoded(noise(), subtype="ULAW"),
    "WAV, 64-bit sizes": encoded(noise(), "RF64", "PCM_16"),
    "WAV that a pipe ended": wav((32_768 * noise()).astype("<i2").tobytes(), 2, data_size=2**32 - 1),
    "an overshoot to 1.5": floats(1.5 * noise() / np.abs(noise()).max()),
    "an overshoot to 3": floats(3.0 * noise() / np.abs(noise()).max()),
    "FLAC": encoded(noise(), "FLAC"),
    "FLAC of unknown length": flac_of(0),
    "M4A": compressed(noise(), RATE, "ipod", "aac"),
    "MP4 in fragments": compressed(noise(), RATE, "mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}),
    "WebM": compressed(noise(rate=48_000), 48_000, "webm", "libopus", {"live": "1"}),
    "MP3 without a header": vbr_mp3(noise(), RATE),
    "Ogg Vorbis": encoded(noise(), "OGG", "VORBIS"),
    "Ogg Opus": encoded(noise(rate=48_000), "OGG", "OPUS", 48_000),
    "MP3": encoded(noise(), "MP3"),
    "AIFF": encoded(noise(), "AIFF"),
    "AIFC, float": encoded(noise(), "AIFF", "FLOAT"),
    "CAF": encoded(noise(), "CAF"),
    "CAF, ALAC": encoded(noise(), "CAF", "ALAC_16"),
    "silence": encoded(np.zeros((RATE, 2))),
}


def command(*arguments: str) -> str:
    answer = CliRunner().invoke(app, arguments)
    if answer.exit_code == 0:
        assert not answer.stderr
        return ""
    (line,) = answer.stderr.splitlines()
    return line.removeprefix("anc: ")


def classify_command(path: Path, platform: FakePlatform) -> str:
    return subject_off(command("classify", str(path)), str(path))


def cancel_command(path: Path, platform: FakePlatform) -> str:
    return subject_off(command("cancel", str(path), str(path.with_suffix(".out.wav"))), str(path))


def noise_option(path: Path, platform: FakePlatform) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed), contextlib.suppress(typer.Exit):
        scene_of(str(path), 5.0)
    return subject_off(printed.getvalue().strip(), f"anc: --noise {path}")


def training(path: Path, platform: FakePlatform) -> str:
    try:
        load_sound(path)
    except Refused as refusal:
        return subject_off(refusal.message, str(path))
    return ""


def posted(operation: str, path: Path, platform: FakePlatform) -> tuple[int, Any]:
    where = f"/api/{operation}"
    body = base64.b64encode(path.read_bytes()).decode()
    event = rest_event("POST", where, where, {}, {}, {}, body, True, WHO, "127.0.0.1")
    function = classifier if operation == "audio/classify" else rest_api
    answer = function(event, LocalContext("function"), platform.deps)
    return answer["statusCode"], json.loads(answer["body"])


def rest(operation: str) -> Entry:
    def answer(path: Path, platform: FakePlatform) -> str:
        status, document = posted(operation, path, platform)
        assert status in (200, 400, 413)
        return "" if status == 200 else subject_off(document["detail"], "file")

    return answer


def job(path: Path, platform: FakePlatform) -> str:
    key = uploaded(platform.deps, path.read_bytes())
    return subject_off(done(platform.deps, key).failure, "file")


def subject_off(message: str, subject: str) -> str:
    assert not message or message.startswith(f"{subject}: ")
    return message.removeprefix(f"{subject}: ")


ENTRIES: dict[str, Entry] = {
    "anc classify": classify_command,
    "anc cancel": cancel_command,
    "anc demo --noise": noise_option,
    "anc train": training,
    "POST audio/process": rest("audio/process"),
    "POST audio/classify": rest("audio/classify"),
    "POST audio/analyze": rest("audio/analyze"),
    "POST emergency/detect": rest("emergency/detect"),
    "an uploaded recording": job,
}


@pytest.fixture
def platform(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> FakePlatform:
    monkeypatch.chdir(tmp_path)  # where there is no `.env`
    return make_dependencies(tmp_path, clock, rate_limit_scale=1e3)


@pytest.fixture
def given(tmp_path: Path) -> Path:
    return tmp_path / "given.sound"


@pytest.mark.parametrize("kind", REFUSED)
def test_every_entry_point_rejects_an_unusable_file_with_the_same_message(
    kind: str, given: Path, platform: FakePlatform
) -> None:
    data, words = REFUSED[kind]
    given.write_bytes(data)
    found = {name: entry(given, platform) for name, entry in ENTRIES.items()}
    assert {*found.values()} == {words}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_every_entry_point_accepts_every_supported_format(
    kind: str, given: Path, platform: FakePlatform
) -> None:
    given.write_bytes(ACCEPTED[kind])
    found = {name: entry(given, platform) for name, entry in ENTRIES.items()}
    nothing_to_play = (
        {"anc demo --noise": "must contain at least half a second of sound"} if kind == "silence" else {}
    )
    assert found == dict.fromkeys(ENTRIES, "") | nothing_to_play


def test_the_format_is_read_from_the_content_not_the_name(given: Path, platform: FakePlatform) -> None:
    named = given.with_suffix(".mp3")
    named.write_bytes(ACCEPTED["CAF"])
    assert {entry(named, platform) for entry in ENTRIES.values()} == {""}


@pytest.mark.parametrize("kind", ["WAV, 16 bit", "an overshoot to 3", "Ogg Opus", "AIFF", "CAF"])
def test_the_command_and_the_api_classify_a_file_identically(
    kind: str, given: Path, platform: FakePlatform
) -> None:
    given.write_bytes(ACCEPTED[kind])
    (line,) = CliRunner().invoke(app, ["classify", "--json", str(given)]).stdout.splitlines()
    here = json.loads(line)
    there = posted("audio/classify", given, platform)[1]
    assert (here["label"], here["emergency"]) == (there["label"], there["emergency"]["active"])
    for scores in ("probabilities", "kinds"):
        assert {name: round(score, 4) for name, score in here[scores].items()} == there[scores]


TRUNCATED = {
    "FLAC": cut(encoded(noise(3.0), "FLAC")),
    "MP3": cut(encoded(noise(3.0), "MP3")),
    "WAV": cut(encoded(noise(3.0))),
    "a length of 400 hours": flac_of(400 * 3600 * RATE),
}


@pytest.mark.parametrize("kind", TRUNCATED)
def test_what_could_not_be_read_is_said_in_every_answer(
    kind: str, given: Path, platform: FakePlatform
) -> None:
    given.write_bytes(TRUNCATED[kind])
    said = "The file is damaged or breaks off: only "
    for operation in ("audio/process", "audio/classify", "audio/analyze", "emergency/detect"):
        status, document = posted(operation, given, platform)
        answer = document.get("report", document)
        assert (status, answer["truncated"]) == (200, True), operation
        assert answer["note"].startswith(said), operation
    summary = done(platform.deps, uploaded(platform.deps, given.read_bytes())).summary
    assert summary["truncated"]
    assert summary["note"].startswith(said)
    for arguments in (["classify", str(given)], ["cancel", str(given), str(given.with_suffix(".out.wav"))]):
        answer = CliRunner().invoke(app, arguments)
        assert answer.exit_code == 0
        assert answer.stderr.startswith(f"anc: {given}: {said}")


def test_a_siren_after_a_quiet_beginning_is_found_in_an_mp3_without_a_header(
    given: Path, platform: FakePlatform
) -> None:
    rate, t = 44_100, np.arange(8 * 44_100) / 44_100
    pitch = 2 * np.pi * np.cumsum(1050 - 400 * np.cos(2 * np.pi * t / 2.5)) / rate
    siren = 0.3 * (np.sin(pitch) + 0.5 * np.sin(2 * pitch) + 0.3 * np.sin(3 * pitch)) / 1.8
    sound = np.concatenate([1e-4 * np.sin(0.02 * np.arange(20 * rate)), siren])[:, None]
    given.write_bytes(vbr_mp3(sound, rate))
    summary = done(platform.deps, uploaded(platform.deps, given.read_bytes())).summary
    assert summary["seconds"] == pytest.approx(28.0, abs=0.1)
    assert summary["emergencies"] == 1
    (line,) = CliRunner().invoke(app, ["classify", "--json", str(given)]).stdout.splitlines()
    assert json.loads(line)["emergency"]
    assert posted("emergency/detect", given, platform)[1]["active"]
