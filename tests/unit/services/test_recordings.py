"""Recordings in a request: cancelled, predicted or classified, and measured."""

import io
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import soundfile
from PIL import Image, ImageColor

from anc.dsp import FDAF, NLMS, Predictor
from anc.ports import Dependencies
from anc.records import Options
from anc.schemas.refusal import Refused
from anc.services.sound import recordings, timeline
from anc.services.sound.recordings import RecordingProcessor, process_short
from anc.services.sound.report_plot import AFTER, BEFORE, plot_report
from anc.services.sound.timeline import Timeline
from tests.recordings import RATE, sound_file, two_microphones


def samples_of(data: bytes) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float64")
    assert rate == RATE
    return samples


@pytest.fixture
def _no_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "classifier", lambda settings: None)


@pytest.mark.usefixtures("_no_classifier")
def test_two_channels_are_cancelled_with_the_frequency_domain_filter(deps: Dependencies) -> None:
    samples = two_microphones()
    result, report = process_short(sound_file(samples), Options(taps=64), deps)
    x, d = np.pad(samples, ((0, -len(samples) % 512), (0, 0))).astype(np.float32).T
    _, e = FDAF(64, 0.5, block=512).process(x, d)
    assert np.abs(samples_of(result) - e[: len(samples)]).max() <= 1 / 32768
    assert (report.mode, report.algorithm, report.mu) == ("cancel", "fdaf", 0.5)


@pytest.mark.usefixtures("_no_classifier")
def test_two_channels_are_cancelled_with_nlms_on_request(deps: Dependencies) -> None:
    samples = two_microphones()
    result, _ = process_short(sound_file(samples), Options(algorithm="nlms", taps=64, mu=0.3), deps)
    _, e = NLMS(64, 0.3).process(*samples.T)
    assert np.abs(samples_of(result) - e).max() <= 1 / 32768


@pytest.mark.usefixtures("_no_classifier")
def test_one_channel_is_predicted_and_white_noise_is_not(deps: Dependencies) -> None:
    tone = 0.3 * np.sin(0.2 * np.arange(3 * RATE))
    result, report = process_short(sound_file(tone), Options(mode="predict", taps=64, horizon=80), deps)
    _, e = Predictor(64, 80, 0.1).process(samples_of(sound_file(tone)))
    assert np.abs(samples_of(result) - e).max() <= 1 / 32768
    assert report.attenuation_last_half_db is not None
    assert report.attenuation_last_half_db > 20
    white = two_microphones()[:, 0]
    _, report = process_short(sound_file(white), Options(mode="predict", taps=64, horizon=80), deps)
    assert report.attenuation_db == pytest.approx(0, abs=0.2)


@pytest.mark.usefixtures("_no_classifier")
def test_the_report_agrees_with_measurements_on_the_files(deps: Dependencies) -> None:
    samples = two_microphones(3.5)
    result, report = process_short(sound_file(samples), Options(taps=64), deps)
    d, e = samples[:, 1], samples_of(result)
    assert report.attenuation_db == pytest.approx(10 * np.log10((d @ d) / (e @ e)), abs=0.01)
    assert report.before.level_dbfs == pytest.approx(10 * np.log10(np.mean(d**2)), abs=0.01)
    last = slice(RATE, None)
    fall = 10 * np.log10((d[last] @ d[last]) / (e[last] @ e[last]))
    assert report.attenuation_last_half_db == pytest.approx(
        10 * np.log10((d[2 * RATE :] @ d[2 * RATE :]) / (e[2 * RATE :] @ e[2 * RATE :])), abs=0.01
    )
    assert report.attenuation_by_second_db is not None
    assert len(report.attenuation_by_second_db) == 4
    assert np.mean(report.attenuation_by_second_db[1:]) == pytest.approx(fall, abs=0.5)
    assert report.after is not None
    for hz, before in report.before.thirds_dbfs.items():
        assert 10 < before - report.after.thirds_dbfs[hz] < 60, f"the noise fell at {hz} Hz"
    assert report.seconds == 3.5


@pytest.mark.usefixtures("_no_classifier")
def test_without_a_classifier_the_report_has_no_noise(deps: Dependencies) -> None:
    _, report = process_short(sound_file(two_microphones()), Options(), deps)
    assert report.noise is None
    assert report.emergencies is None
    assert report.summary()["emergencies"] is None
    assert plot_report(report).startswith(b"\x89PNG")


@pytest.mark.usefixtures("_no_classifier")
def test_a_level_below_the_plot_is_drawn_at_its_edge(deps: Dependencies) -> None:
    sound = np.zeros((4 * RATE, 2))
    sound[:RATE] = 0.9 * np.random.default_rng(5).uniform(-1, 1, (RATE, 2))
    spectrogram = Image.open(io.BytesIO(plot_report(process_short(sound_file(sound), Options(), deps)[1])))
    colours = {colour for _, colour in spectrogram.convert("RGB").crop((60, 364, 1160, 400)).getcolors()}
    assert not colours & {ImageColor.getrgb(BEFORE), ImageColor.getrgb(AFTER)}


@pytest.mark.usefixtures("_no_classifier")
@pytest.mark.parametrize(
    ("channels", "mode", "says"),
    [
        (1, "cancel", r"`cancel` needs 2 channels.*got 1"),
        (2, "predict", r"`predict` needs 1 channel \(got 2\)"),
        (3, "cancel", r"`cancel` needs 2 channels.*got 3"),
    ],
)
def test_a_mode_that_needs_other_channels_is_refused(deps, channels, mode, says) -> None:
    with pytest.raises(Refused, match=says):
        process_short(sound_file(np.zeros((RATE, channels))), Options(mode=mode), deps)


@pytest.mark.usefixtures("_no_classifier")
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (bytes(10_000_001), "at most 10,000,000 bytes"),
        (
            sound_file(np.zeros((61 * 8000, 2)), subtype="PCM_U8", rate=8000),
            "must be at most 60 s long",
        ),
        (sound_file(np.zeros((0, 2))), "contains no samples"),
        (sound_file(np.full((10, 2), -np.inf), subtype="FLOAT"), "must be finite"),
    ],
    ids=["empty", "too large", "too long", "no samples", "infinite"],
)
def test_an_invalid_file_is_refused(deps: Dependencies, data: bytes, says: str) -> None:
    with pytest.raises(Refused, match=says):
        process_short(data, Options(), deps)


class ClassifierStub:
    """A classifier that detects a siren in loud quarter seconds and labels noise by its level."""

    def __init__(self, classifier: object, rate: int, channels: int) -> None:
        self.quarter = rate // 4
        self.pcm = np.zeros(0, np.float32)
        self.first = True

    def process(self, block: np.ndarray) -> list[SimpleNamespace]:
        assert np.abs(block).max() <= 1
        self.pcm = np.concatenate([self.pcm, np.abs(block).max(axis=1)])
        predictions = []
        while self.pcm.size >= self.quarter * (4 if self.first else 1):
            size = self.quarter * (4 if self.first else 1)
            loud = bool(np.abs(self.pcm[size - self.quarter : size]).max() > 0.5)
            self.pcm, self.first = self.pcm[size:], False
            score = 0.9 if loud else 0.1
            predictions.append(
                SimpleNamespace(
                    label="loud" if loud else "quiet",
                    confidence=score,
                    emergency=loud,
                    emergency_score=score,
                    kinds={"siren": score, "horn": 0.0, "alarm": 0.0},
                )
            )
        return predictions

    def state(self) -> bytes:
        return bytes([self.first]) + self.pcm.tobytes()

    @classmethod
    def from_state(cls, classifier: object, state: bytes, channels: int) -> "ClassifierStub":
        stub = cls(classifier, RATE, channels)
        stub.first, stub.pcm = bool(state[0]), np.frombuffer(state[1:], np.float32)
        return stub


@pytest.fixture
def _classifier_stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "MultichannelClassifier", ClassifierStub)
    monkeypatch.setattr(recordings, "classifier", lambda settings: "a classifier")


def siren_from_3_to_5_seconds() -> np.ndarray:
    x = two_microphones(8.0)
    x[3 * RATE : 5 * RATE, 0] = 0.8
    return x


@pytest.mark.usefixtures("_classifier_stub")
def test_noise_and_alarms_are_reported_with_their_times(deps: Dependencies) -> None:
    _, report = process_short(sound_file(siren_from_3_to_5_seconds()), Options(), deps)
    assert report.noise is not None
    assert [(span.from_s, span.to_s, span.label) for span in report.noise] == [
        (0.0, 3.0, "quiet"),
        (3.0, 5.0, "loud"),
        (5.0, 8.0, "quiet"),
    ]
    assert [span.confidence for span in report.noise] == pytest.approx([0.1, 0.9, 0.1])
    assert report.emergencies is not None
    (alarm,) = report.emergencies
    assert (alarm.from_s, alarm.to_s, alarm.kind, alarm.score) == (3.0, 5.0, "siren", 0.9)
    assert report.summary()["noise"] == "quiet"
    assert report.summary()["emergencies"] == 1


@pytest.mark.usefixtures("_classifier_stub")
def test_a_restored_timeline_continues(deps: Dependencies) -> None:
    x = siren_from_3_to_5_seconds()[:, :1].astype(np.float32)
    whole = Timeline("a classifier", RATE)  # type: ignore[arg-type]
    whole.process(x)
    parts = Timeline("a classifier", RATE)  # type: ignore[arg-type]
    for part in np.split(x, [5_000, 51_111, 70_000]):
        parts.process(part)
        parts = Timeline.from_state("a classifier", RATE, 1, parts.state())  # type: ignore[arg-type]
    assert parts.state() == whole.state()


@pytest.mark.usefixtures("_classifier_stub")
def test_a_timeline_stored_by_an_earlier_version_continues(deps: Dependencies) -> None:
    current = Timeline("a classifier", RATE)  # type: ignore[arg-type]
    current.process(siren_from_3_to_5_seconds()[:, :1].astype(np.float32))
    stored = msgspec.msgpack.decode(current.state())
    assert set(stored) == {"listener", "hearings", "noise", "alarms"}, "the names that checkpoints have"
    restored = Timeline.from_state("a classifier", RATE, 1, current.state())  # type: ignore[arg-type]
    assert (restored.noise, restored.alarms) == (current.noise, current.alarms)


@pytest.mark.usefixtures("_no_classifier")
@pytest.mark.parametrize("mode", ["cancel", "predict", "classify"])
@pytest.mark.parametrize("algorithm", ["fdaf", "nlms"])
def test_a_restored_processor_continues_bit_for_bit(mode: str, algorithm: str) -> None:
    samples = two_microphones().astype(np.float32)[:, : 2 if mode == "cancel" else 1]
    options = Options(mode=mode, algorithm=algorithm, taps=96, horizon=7)  # type: ignore[arg-type]
    processor = RecordingProcessor(options, RATE, samples.shape[1], None)
    residual = [processor.process(part) for part in np.split(samples, [8192, 16_384])]
    again = RecordingProcessor(options, RATE, samples.shape[1], None)
    for part, expected in zip(np.split(samples, [8192, 16_384]), residual, strict=True):
        assert np.array_equal(again.process(part), expected)
        again = RecordingProcessor.from_state(again.state(), None)
    assert again.report() == processor.report()
