"""The processing time of sound files is predicted and limited before the work."""

import numpy as np
import pytest

from anc.audio.reader import SHORT_BYTES, SHORT_S
from anc.records import Options
from anc.schemas.refusal import Refused
from anc.services.sound import cpu_budget, file_detection
from anc.services.sound.analysis import analyze
from anc.services.sound.cpu_budget import REQUEST_S, estimated_cpu_s, opening_cpu_s
from anc.services.sound.preview import preview
from anc.services.sound.recordings import SHORT_RESULT_BYTES, RecordingProcessor, process_short
from functions.routes import SOUND_BYTES
from tests.fakes import ALICE, BOB, FakePlatform
from tests.recordings import sound_file


class Header:
    """Size from the header of a file."""

    def __init__(self, seconds: float, rate: int = 48_000, channels: int = 2) -> None:
        self.frames, self.rate, self.channels = int(seconds * rate), rate, channels


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if anything is decoded."""

    def read(*_: object) -> None:
        raise AssertionError("it was decoded before it was refused")

    monkeypatch.setattr("anc.audio.reader.AudioReader.read", read)


def test_the_predicted_time_grows_with_length_channels_and_taps() -> None:
    least = estimated_cpu_s(Header(1), Options(mode="cancel", taps=16))
    for more in (
        estimated_cpu_s(Header(2), Options(mode="cancel", taps=16)),
        estimated_cpu_s(Header(1, rate=96_000), Options(mode="cancel", taps=16)),
        estimated_cpu_s(Header(1), Options(mode="cancel", taps=4096)),
        estimated_cpu_s(Header(1), Options(mode="cancel", algorithm="nlms", taps=16)),
        estimated_cpu_s(Header(1), Options(mode="predict", taps=16)),
        estimated_cpu_s(Header(1, channels=8), Options(mode="cancel", taps=16)),
    ):
        assert more > least
    assert estimated_cpu_s(Header(1), Options(mode="classify")) < least
    assert estimated_cpu_s(Header(1), detects=False) < estimated_cpu_s(Header(1))


def test_a_result_over_the_limit_is_refused_before_it_is_filtered(
    platform: FakePlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(RecordingProcessor, "process")
    data = sound_file(np.zeros((60 * 192_000, 2)), "FLAC", rate=192_000)
    assert len(data) < 100_000
    with pytest.raises(Refused) as refusal:
        process_short(data, Options(algorithm="nlms", taps=4096), platform.deps)
    assert refusal.value.code == "too_large"
    assert f"at most {SHORT_RESULT_BYTES:,}" in refusal.value.message


@pytest.mark.usefixtures("untouched")
def test_work_is_charged_before_it_is_done(platform: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("anc.audio.reader.open_decoder")  # opening a damaged file takes time, too
    data, charged = sound_file(np.zeros((16_000, 2)), "FLAC"), []

    def charge(seconds: float) -> None:
        charged.append(seconds)
        raise Refused("too_many", "no")

    for treat in (
        lambda: process_short(data, Options(), platform.deps, charge),
        lambda: analyze(data, charge=charge),
        lambda: file_detection.classify_file(data, platform.deps, charge),
        lambda: file_detection.emergency_in_file(data, platform.deps, charge),
        lambda: preview(data, charge=charge),
    ):
        with pytest.raises(Refused, match="no"):
            treat()
    assert len(charged) == 5
    assert all(0 < seconds < 1 for seconds in charged)


def test_opening_a_file_is_charged_by_format_and_size() -> None:
    starts = sound_file(np.zeros((100, 1)), "WAV"), b"fLaC", b"OggS", b"\x1aE\xdf\xa3"
    for start, longest_s in zip(starts, (0.0, 2.0, 6.0, 10.0), strict=True):
        assert opening_cpu_s(start + bytes(SHORT_BYTES - len(start))) == pytest.approx(longest_s)
    with pytest.raises(Refused, match="not a sound file"):
        opening_cpu_s(b"hello")


def test_a_request_over_the_time_limit_is_refused_with_limit_and_advice(
    platform: FakePlatform,
) -> None:
    with pytest.raises(Refused) as refusal:
        cpu_budget.charge(REQUEST_S + 0.1, ALICE, platform.deps)
    assert refusal.value.code == "too_large"
    assert "at most 10 core-seconds" in refusal.value.message
    assert "upload it" in refusal.value.message


def test_every_caller_has_a_budget_per_minute(platform: FakePlatform) -> None:
    for _ in range(3):
        cpu_budget.charge(REQUEST_S, ALICE, platform.deps)
    with pytest.raises(Refused) as refusal:
        cpu_budget.charge(0.5, ALICE, platform.deps)
    assert refusal.value.code == "too_many"
    assert refusal.value.wait_s
    assert "30 core-seconds per minute" in refusal.value.message
    cpu_budget.charge(REQUEST_S, BOB, platform.deps)


def test_the_longest_short_file_is_within_the_time_limit() -> None:
    longest = Header(SHORT_RESULT_BYTES / 2 / 48_000)
    for options in (Options(mode="cancel", algorithm="nlms", taps=4096), Options(mode="cancel")):
        assert estimated_cpu_s(longest, options) < REQUEST_S
    assert estimated_cpu_s(Header(SHORT_S), Options(mode="classify")) < REQUEST_S


def test_the_routes_accept_as_many_bytes_as_the_decoder() -> None:
    assert SOUND_BYTES == SHORT_BYTES
