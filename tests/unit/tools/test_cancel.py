"""`anc cancel` writes the residual of the filter, and its report matches the files."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import soundfile

from anc.dsp import FDAF, NLMS
from anc.schemas.refusal import Refused
from anc.services.sound.recordings import FDAF_BLOCK
from tools.cli.cancel import cancel_file, write_report
from tools.report import player

RATE = 16_000
STEP = 1 / 32_768


def two_channels(seconds: float = 3.3) -> np.ndarray:
    """Return reference noise and a primary: the noise through a short path, plus a quiet tone."""
    n = int(seconds * RATE)
    x = 0.1 * np.random.default_rng(3).standard_normal(n)
    d = np.convolve(x, [0.0, 0.6, -0.3, 0.1])[:n] + 0.003 * np.sin(0.3 * np.arange(n))
    return np.stack([x, d], axis=1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.wav"
    soundfile.write(path, two_channels(), RATE, subtype="FLOAT")
    return path


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float64")[0]


def test_the_output_is_the_nlms_residual_of_the_whole_recording(tmp_path: Path, source: Path) -> None:
    cancel_file(source, tmp_path / "out.wav", "nlms", taps=64, mu=0.3)
    x, d = read(source).T
    _, e = NLMS(64, 0.3, dtype=np.float64).process(x, d)
    assert np.abs(read(tmp_path / "out.wav") - e).max() < 2 * STEP


def test_the_output_is_the_fdaf_residual_to_the_last_sample(tmp_path: Path, source: Path) -> None:
    cancel_file(source, tmp_path / "out.wav", "fdaf", taps=128)
    x, d = read(source).T
    whole = x.size // FDAF_BLOCK * FDAF_BLOCK
    _, e = FDAF(128, 0.5, block=FDAF_BLOCK).process(x[:whole], d[:whole])
    written = read(tmp_path / "out.wav")
    assert written.size == x.size
    assert np.abs(written[:whole] - e).max() < 2 * STEP
    assert np.std(written[whole:]) < 0.2 * np.std(d[whole:]), "the last, incomplete block is cleaned as well"


@pytest.mark.parametrize("algorithm", ["fdaf", "nlms"])
def test_the_report_matches_the_files(
    tmp_path: Path, source: Path, algorithm: Literal["fdaf", "nlms"]
) -> None:
    report = cancel_file(source, tmp_path / "out.wav", algorithm, taps=128).report
    d, e = read(source)[:, 1], read(tmp_path / "out.wav")
    fall = 10 * np.log10((d @ d) / (e @ e))
    assert report.attenuation_db is not None
    assert report.attenuation_last_half_db is not None
    assert report.attenuation_by_second_db is not None
    assert report.attenuation_db == pytest.approx(fall, abs=0.05)
    assert report.attenuation_db > 10
    assert report.level_before_dbfs == pytest.approx(10 * np.log10(np.mean(d * d)), abs=0.01)
    assert report.level_after_dbfs == pytest.approx(10 * np.log10(np.mean(e * e)), abs=0.05)
    assert (report.seconds, report.rate, report.taps, report.clipped_samples) == (3.3, RATE, 128, 0)
    assert len(report.attenuation_by_second_db) in (4, 5)
    assert report.attenuation_last_half_db > report.attenuation_db, "it has learnt by then"
    assert json.loads(json.dumps(report.document()))["algorithm"] == algorithm


def test_signals_unrelated_to_the_reference_are_kept(tmp_path: Path, source: Path) -> None:
    cancel_file(source, tmp_path / "out.wav", "nlms", taps=32, mu=0.05)
    e = read(tmp_path / "out.wav")[RATE:]
    n = np.arange(e.size)
    tone = 2 * np.abs(np.mean(e * np.exp(-0.3j * n)))
    assert tone == pytest.approx(0.003, rel=0.15)


def test_silence_stays_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros((RATE, 2)), RATE)
    report = cancel_file(tmp_path / "in.wav", tmp_path / "out.wav").report
    assert not read(tmp_path / "out.wav").any()
    assert (report.level_before_dbfs, report.level_after_dbfs, report.attenuation_db) == (-120, -120, 0)


def test_a_residual_beyond_full_scale_is_clipped_and_counted(tmp_path: Path) -> None:
    loud = np.random.default_rng(0).uniform(-1, 1, (RATE, 2)) * [1, 3]
    soundfile.write(tmp_path / "in.wav", loud, RATE, subtype="FLOAT")
    report = cancel_file(tmp_path / "in.wav", tmp_path / "out.wav", "nlms", taps=4).report
    assert report.clipped_samples > RATE / 2
    assert np.abs(read(tmp_path / "out.wav")).max() <= 1


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg"])
def test_the_suffix_selects_the_output_format(tmp_path: Path, source: Path, ending: str) -> None:
    cancel_file(source, tmp_path / f"out.{ending}")
    written = soundfile.info(tmp_path / f"out.{ending}")
    assert (written.format, written.channels, written.samplerate) == (ending.upper(), 1, RATE)
    assert written.frames == soundfile.info(source).frames


def test_progress_ends_at_the_end_of_the_recording(tmp_path: Path, source: Path) -> None:
    seen: list[tuple[int, int]] = []
    cancel_file(source, tmp_path / "out.wav", progress=lambda done, of: seen.append((done, of)))
    frames = soundfile.info(source).frames
    assert seen[-1] == (frames, frames)
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.zeros((100, 1)), "`cancel` needs 2 channels.*got 1"),
        (np.zeros((100, 3)), "`cancel` needs 2 channels.*got 3"),
        (np.zeros((0, 2)), "contains no samples"),
        (np.full((100, 2), np.nan), "finite"),
        (np.full((100, 2), np.inf), "finite"),
        (None, "not a sound file in a supported format"),
    ],
    ids=["mono", "three", "empty", "not a number", "infinite", "no sound"],
)
def test_an_unusable_source_is_rejected_and_the_target_kept(
    tmp_path: Path, samples: np.ndarray | None, says: str
) -> None:
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    if samples is None:
        source.write_text("hello")
    else:
        soundfile.write(source, samples, RATE, subtype="FLOAT")
    target.write_bytes(b"earlier work")
    with pytest.raises(Refused, match=says) as refusal:
        cancel_file(source, target)
    assert str(source) in refusal.value.message
    assert target.read_bytes() == b"earlier work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav", "out.wav"], "nothing half-written"


@pytest.mark.parametrize("name", ["no/such/folder/out.wav", "out.doc", "out"])
def test_a_target_that_cannot_be_written_is_named(tmp_path: Path, source: Path, name: str) -> None:
    with pytest.raises(Refused, match="cannot write") as refusal:
        cancel_file(source, tmp_path / name)
    assert str(tmp_path / name) in refusal.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_source_and_target_may_be_the_same_file(tmp_path: Path, source: Path) -> None:
    d = read(source)[:, 1]
    cancel_file(source, source)
    assert read(source).shape == d.shape
    assert np.std(read(source)) < 0.3 * np.std(d)


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.html", b"<!doctype html>")])
def test_a_report_is_a_png_or_a_page_that_embeds_it(
    tmp_path: Path, source: Path, name: str, start: bytes
) -> None:
    cancelled = cancel_file(source, tmp_path / "out.wav")
    write_report(cancelled, "a recording", tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_the_page_of_a_report_holds_the_sounds_and_their_pictures(tmp_path: Path, source: Path) -> None:
    cancelled = cancel_file(source, tmp_path / "out.wav")
    write_report(cancelled, "a recording", tmp_path / "a.html")
    content = embedded(tmp_path / "a.html")
    for name, sound in (("before", read(source)[:, 1]), ("after", read(tmp_path / "out.wav"))):
        kind, _, data = content["sounds"][name].partition(",")
        assert kind == "data:audio/flac;base64"
        assert np.abs(soundfile.read(io.BytesIO(base64.b64decode(data)))[0] - sound).max() < STEP
    assert content["overview"]["after"]["low"]
    assert content["seconds"] == cancelled.report.seconds


def test_the_page_of_a_long_recording_has_pictures_without_sound(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player, "MAX_SOUND_S", 0.5)
    write_report(cancel_file(source, tmp_path / "out.wav"), "a recording", tmp_path / "a.html")
    content = embedded(tmp_path / "a.html")
    assert content["sounds"] == {}
    assert content["overview"]["before"]["spectrum"]
    assert "Pages hold the sound of recordings of up to 0 s" in (tmp_path / "a.html").read_text()


def embedded(page: Path) -> dict[str, Any]:
    """Return the content of a page's player."""
    found = re.search(r'<script type="application/json" id="recording">(.*?)</script>', page.read_text())
    assert found
    return dict(json.loads(found[1]))
