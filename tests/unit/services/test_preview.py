"""What clients show before an upload: formats, and what will be done with the channels of a file."""

import re
import struct

import numpy as np
import pytest

from anc.audio.formats import FORMATS
from anc.records import Options
from anc.schemas.refusal import Refused
from anc.services.sound.channel_plan import MODES, choose_mode, describe_mode
from anc.services.sound.preview import accepted, preview
from tests.compressed import compressed, pink
from tests.sounds import RATE, encoded, noise, wav

HEAD, TAIL = 65_536, 20_000


@pytest.mark.parametrize(
    ("channels", "automatic", "possible", "words"),
    [
        (1, "classify", {"classify", "predict"}, "One channel: noise is classified .* Nothing is removed"),
        (
            2,
            "cancel",
            {"cancel", "classify"},
            r"Channel 1 \(left\) is the reference, channel 2 \(right\) the",
        ),
        (
            4,
            "classify",
            {"classify"},
            "4 channels: .* alarms are detected in every channel. Nothing is removed",
        ),
    ],
)
def test_a_preview_says_what_happens_to_the_channels(
    channels: int, automatic: str, possible: set[str], words: str
) -> None:
    answer = preview(encoded(noise(channels=channels)))
    assert (answer["format"], answer["rate"], answer["channels"]) == ("WAV", RATE, channels)
    assert answer["seconds"] == pytest.approx(0.6)
    assert answer["automatic"] == automatic == choose_mode(Options(), channels)
    assert set(answer["modes"]) == possible

    assert re.match(words, answer["modes"][automatic])
    for mode in MODES:
        if mode not in possible:
            with pytest.raises(Refused, match=f"`{mode}` needs"):
                choose_mode(Options(mode=mode), channels)


def test_only_cancelling_and_predicting_remove_anything() -> None:
    for channels in (1, 2, 8):
        assert "Nothing is removed" in describe_mode("classify", channels)


@pytest.mark.parametrize("container", ["ipod", "mp4", "wav", "webm", "ogg", "flac", "mp3"])
def test_beginning_and_end_of_a_large_file_are_enough(container: str) -> None:
    codec = {"wav": "pcm_s16le", "webm": "libopus", "ogg": "libopus", "flac": "flac", "mp3": "libmp3lame"}
    rate = RATE if container == "flac" else 48_000  # FFmpeg looks ahead by ten frames of FLAC
    data = compressed(pink(6.0, rate), rate, container, codec.get(container, "aac"))
    tail = len(data) - data.index(b"moov") + 4 if container in ("ipod", "mp4") else TAIL
    assert len(data) > HEAD + tail
    whole = preview(data)
    assert preview(data[:HEAD] + data[-tail:], HEAD, len(data)) == whole
    assert whole["seconds"] == pytest.approx(6.0, abs=0.03)


def test_a_preview_is_refused_as_the_upload_would_be() -> None:
    with pytest.raises(Refused, match="not a sound file in a supported format"):
        preview(b"not a sound" * 1000)
    with pytest.raises(Refused, match="must have at most 8 channels"):
        preview(wav(bytes(18 * 1000), 9))
    with pytest.raises(Refused, match="head must be at most, size at least the 100 bytes"):
        preview(bytes(100), 200, 300)


def test_a_hole_of_any_size_is_not_searched_for_sound() -> None:
    data = b"\xff\xfb" + np.random.default_rng(1).bytes(HEAD)
    with pytest.raises(Refused):
        preview(data, HEAD, 12 * 1024**3)
    size = struct.pack("<I", 0xFFFF_0000)
    riff = wav(bytes(HEAD), 2)
    long = preview(riff[:40] + size + riff[44:], len(riff), 0xFFFF_0000 + 44)
    assert long["seconds"] == pytest.approx(0xFFFF_0000 / 4 / RATE)


def test_the_accepted_formats_are_those_of_the_decoder() -> None:
    answer = accepted()
    assert [each["name"] for each in answer["formats"]] == [each.name for each in FORMATS]
    assert answer["request_bytes"] == 10_000_000
