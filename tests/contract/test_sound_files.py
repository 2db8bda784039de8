"""Every entry point for sound files accepts the same files and reports the same errors."""

import base64
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from anc.audio.formats import FORMATS
from anc.services.sound import report_plot
from tests.compressed import compressed, vbr_mp3
from tests.fakes import Clock, FakePlatform, make_dependencies
from tests.recordings import done, uploaded
from tests.sound_entries import DAMAGED, ENTRIES, Answer, posted
from tests.sounds import RATE, cut, encoded, flac_of, floats, noise, wav
from tools.cli.main import app

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


@pytest.fixture(autouse=True)
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes most of the time of a short recording."""
    monkeypatch.setattr(report_plot, "plot_report", lambda report: b"plot")


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
ACCEPTED = {  # beside the kinds of file of `tests/contract/test_formats_page.py`
    "WAV, 16 bit": encoded(noise()),
    "an overshoot to 1.5": floats(1.5 * noise() / np.abs(noise()).max()),
    "an overshoot to 3": floats(3.0 * noise() / np.abs(noise()).max()),
    "FLAC of unknown length": flac_of(0),
    "MP4 in fragments": compressed(noise(), RATE, "mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}),
    "Ogg Opus": encoded(noise(rate=48_000), "OGG", "OPUS", 48_000),
    "AIFF": encoded(noise(), "AIFF"),
    "CAF": encoded(noise(), "CAF"),
    "silence": encoded(np.zeros((RATE, 2))),
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
    assert {*found.values()} == {Answer(words)}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_every_entry_point_accepts_every_supported_format(
    kind: str, given: Path, platform: FakePlatform
) -> None:
    given.write_bytes(ACCEPTED[kind])
    found = {name: entry(given, platform) for name, entry in ENTRIES.items()}
    nothing_to_play = (
        {"anc demo --noise": Answer("must contain at least half a second of sound")}
        if kind == "silence"
        else {}
    )
    assert found == dict.fromkeys(ENTRIES, Answer()) | nothing_to_play


def test_the_format_is_read_from_the_content_not_the_name(given: Path, platform: FakePlatform) -> None:
    named = given.with_suffix(".mp3")
    named.write_bytes(ACCEPTED["CAF"])
    assert {entry(named, platform) for entry in ENTRIES.values()} == {Answer()}


def test_a_request_may_name_every_media_type_that_the_api_lists(given: Path, platform: FakePlatform) -> None:
    given.write_bytes(ACCEPTED["MP4 in fragments"])
    for media_type in (name for each in FORMATS for name in each.media_types):
        assert posted("audio/analyze", given, platform, media_type)[0] == 200, media_type


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
    for name, entry in ENTRIES.items():
        answer = entry(given, platform)
        assert (answer.refusal, answer.note[: len(DAMAGED)]) == ("", DAMAGED), name


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
