"""Predictions of the bundled model, and model files that are refused."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from anc.noise import KINDS, LABELS, Classifier, ModelError, model_file, summary
from anc.noise.classifier import DEFAULT_MODEL, vote

RATE = 16_000


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


def noise(seconds: float = 1.5, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, int(seconds * rate))


def wail(seconds: float = 3.0, rate: int = RATE) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    frequency = 950 + 450 * np.sin(2 * np.pi * t / 3)
    phase = 2 * np.pi * np.cumsum(frequency) / rate
    return sum(0.4 / k * np.sin(k * phase) for k in (1, 2, 3))


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000, 192000])
def test_every_label_gets_a_probability_and_they_add_up_at_any_rate(
    classifier: Classifier, rate: int
) -> None:
    prediction = classifier.classify(noise(rate=rate), rate)
    assert tuple(prediction.probabilities) == LABELS
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert (
        prediction.confidence
        == max(prediction.probabilities.values())
        == prediction.probabilities[prediction.label]
    )
    assert tuple(prediction.kinds) == KINDS
    assert prediction.emergency_score == max(prediction.kinds.values())


@pytest.mark.parametrize("sound", [np.zeros(RATE), np.full(RATE, 0.5), np.full(RATE, 1e-6)])
def test_silence_and_a_constant_are_quiet_and_no_emergency(classifier: Classifier, sound: np.ndarray) -> None:
    prediction = classifier.classify(sound, RATE)
    assert prediction.label == "quiet"
    assert prediction.confidence > 0.99
    assert not prediction.emergency


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("gain", [0.01, 0.3, 5.0])
def test_a_wailing_siren_is_an_emergency_soft_loud_or_clipped(
    classifier: Classifier, rate: int, gain: float
) -> None:
    prediction = classifier.classify(np.clip(gain * wail(rate=rate), -1, 1), rate)
    assert prediction.emergency
    assert max(prediction.kinds, key=prediction.kinds.__getitem__) in ("siren", "alarm")


def test_white_noise_is_no_emergency(classifier: Classifier) -> None:
    assert not classifier.classify(noise(5), RATE).emergency


def test_a_summary_gives_the_same_prediction_as_the_sound(classifier: Classifier) -> None:
    for sound in (noise(1.0), wail(1.0), np.zeros(RATE)):
        from_summary = classifier.classify_summary(summary(sound, RATE))
        from_sound = classifier.classify(sound, RATE)
        assert from_summary.label == from_sound.label
        assert from_summary.probabilities == pytest.approx(from_sound.probabilities, abs=1e-5)
        assert from_summary.kinds == pytest.approx(from_sound.kinds, abs=1e-5)


def test_the_threshold_changes_only_the_emergency(classifier: Classifier) -> None:
    score = classifier.classify(wail(), RATE).emergency_score
    strict = Classifier.load(threshold=min(score + 1e-6, 1 - 1e-9)).classify(wail(), RATE)
    assert strict.emergency_score == score
    with pytest.raises(ValueError, match="threshold"):
        Classifier.load(threshold=1.5)


def test_an_emergency_needs_two_of_three_windows() -> None:
    scores = np.zeros((7, 3))
    scores[3] = 0.9
    assert vote(scores).max() == 0
    scores[5] = 0.8
    assert vote(scores).max() == 0.8
    assert vote(scores[3:4]).max() == 0.9


def test_the_bundled_model_is_small_and_described() -> None:
    assert DEFAULT_MODEL.stat().st_size < 2_000_000
    model = model_file.load(DEFAULT_MODEL)
    assert set(model.about["labels"].values()) <= set(LABELS)
    assert len(model.sha256) == 64


def test_importing_anc_noise_imports_little_besides_numpy() -> None:
    code = (
        "import sys, numpy; n = set(sys.modules); import anc.noise; print('\\n'.join(set(sys.modules) - n))"
    )
    layer = str(DEFAULT_MODEL.parents[2])
    out = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": layer}, capture_output=True, check=True
    )
    heavy = {"soxr", "soundfile", "scipy", "sklearn", "torch", "boto3", "pydantic"}
    assert not heavy & set(out.stdout.decode().split())


class TestForeignModelFiles:
    """Model files that are damaged or incompatible are refused."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "model.npz"

    def test_a_missing_file(self, path: Path) -> None:
        with pytest.raises(ModelError, match="cannot be read"):
            Classifier.load(path)

    @pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + bytes(100)])
    def test_a_file_that_is_no_archive(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        with pytest.raises(ModelError, match="not a model file"):
            Classifier.load(path)

    def test_another_archive(self, path: Path) -> None:
        np.savez(path, weights=np.zeros(3))
        with pytest.raises(ModelError, match="not a model file"):
            Classifier.load(path)

    def test_a_file_with_pickled_objects_is_never_unpickled(self, path: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return (Path.touch, (path.with_name("sprung"),))  # type: ignore[return-value]

        np.savez(path, about=np.array([Trap()], dtype=object))
        with pytest.raises(ModelError, match="not a model file"):
            Classifier.load(path)
        assert not path.with_name("sprung").exists()

    @pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
    def test_a_flipped_bit(self, path: Path, at: float) -> None:
        content = bytearray(DEFAULT_MODEL.read_bytes())
        content[int(len(content) * at)] ^= 0x10
        path.write_bytes(content)
        with pytest.raises(ModelError):
            Classifier.load(path)

    def test_weights_changed_behind_an_intact_archive(self, path: Path) -> None:
        with np.load(DEFAULT_MODEL, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        arrays["kinds.bias"] = arrays["kinds.bias"] - 100
        np.savez(path, **arrays)
        with pytest.raises(ModelError, match="SHA-256"):
            Classifier.load(path)

    @pytest.mark.parametrize(
        ("field", "says"), [("version", "got version 99"), ("features", "other features")]
    )
    def test_a_model_of_another_version(self, path: Path, field: str, says: str) -> None:
        with np.load(DEFAULT_MODEL, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays["about"].tobytes())
        about[field] = 99
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        np.savez(path, **arrays)
        with pytest.raises(ModelError, match=says):
            Classifier.load(path)

    def test_a_model_of_another_shape(self, path: Path) -> None:
        model = model_file.load(DEFAULT_MODEL)
        arrays = {**model.arrays, "noise.weight": np.zeros((7, 3), np.float16)}
        model_file.save(
            path, arrays, {k: v for k, v in model.about.items() if k not in ("version", "features")}
        )
        with pytest.raises(ModelError, match="incompatible"):
            Classifier.load(path)

    def test_a_decompression_bomb_as_model(self, path: Path) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("about.npy", bytes(100 << 20))
        path.write_bytes(buffer.getvalue())
        with pytest.raises(ModelError, match="64 MB"):
            Classifier.load(path)
