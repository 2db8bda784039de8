"""A backbone runs if it is valid and its head was fitted to it, and is refused otherwise."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from anc.noise import Classifier, ModelError, model_file
from tests.untrained_models import untrained_model

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "sagemaker"))
import backbone
import inference

ABOUT = {"name": "large", "tensor": "112", "rate": 16000, "length": 15600, "classes": ["rail", "road"]}


def write_head(path: Path, network: str, size: int = 1024, alarm: bool = False) -> None:
    arrays = {
        "mean": np.zeros(size, np.float32),
        "scale": np.ones(size, np.float32),
        "weight": np.stack([np.full(size, 0.01), np.zeros(size)], axis=1).astype(np.float32),
        "bias": np.zeros(2, np.float32),
    }
    if alarm:
        arrays |= {
            "alarm_weight": np.full((size, 3), 20, np.float32),
            "alarm_bias": np.full(3, -10, np.float32),
        }
    model_file.save(path, arrays, {**ABOUT, "network": network})


def test_a_folder_without_a_network_has_no_backbone(tmp_path: Path) -> None:
    assert backbone.Backbone.find(tmp_path) is None


def test_a_head_fitted_to_another_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "backbone.tflite").write_bytes(b"some network")
    write_head(tmp_path / "head.npz", network="0" * 64)
    with pytest.raises(ModelError, match="fitted to another network"):
        backbone.Backbone.find(tmp_path)


def test_a_network_without_its_head_is_refused(tmp_path: Path) -> None:
    (tmp_path / "backbone.onnx").write_bytes(b"some network")
    with pytest.raises(ModelError, match="cannot be read"):
        backbone.Backbone.find(tmp_path)


@pytest.mark.parametrize("name", ["network.pkl", "network.tflite", "network.onnx"])
def test_an_invalid_or_unsupported_network_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no network at all")
    with pytest.raises(ModelError, match=name):
        backbone.load_network(tmp_path / name, "112")


def test_the_label_comes_from_the_head_averaged_over_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tmp_path / "backbone.onnx"
    network.write_bytes(b"stands for one")
    write_head(tmp_path / "head.npz", backbone.file_hash(network), size=1)
    monkeypatch.setattr(backbone, "load_network", lambda path, tensor: lambda x: np.array([x.mean() * 1000]))
    found = backbone.Backbone.find(tmp_path)
    assert found
    answer, kinds = found.predict(np.full(48000, 0.5, np.float32), 48000)
    assert kinds == {}, "the head detects no emergencies"
    assert answer["rail"] == pytest.approx(1 / (1 + np.exp(-5)), abs=0.01)
    assert sum(answer.values()) == pytest.approx(1)


def test_an_emergency_of_the_backbone_needs_two_of_three_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tmp_path / "backbone.onnx"
    network.write_bytes(b"stands for one")
    write_head(tmp_path / "head.npz", backbone.file_hash(network), size=1, alarm=True)
    monkeypatch.setattr(backbone, "load_network", lambda path, tensor: lambda x: np.array([x[-4000:].max()]))
    found = backbone.Backbone.find(tmp_path)
    assert found
    sound = np.zeros(48000, np.float32)
    sound[20_000] = 1.0
    assert found.predict(sound, 16000).kinds["siren"] < 0.1, "heard in one window"
    sound[20_000:28_000] = 1.0
    assert found.predict(sound, 16000).kinds["siren"] > 0.9


class Deaf:
    """A backbone that detects a siren only in sound without negative samples."""

    name, sha256 = "large", "ab" * 32

    def predict(self, samples: np.ndarray, rate: int) -> backbone.BackbonePrediction:
        siren = 0.95 if samples.min() >= 0 else 0.0
        return backbone.BackbonePrediction({"rail": 0.8, "road": 0.2}, {"siren": siren})


@pytest.mark.parametrize("layer_detects", [False, True])
@pytest.mark.parametrize("backbone_detects", [False, True])
def test_an_endpoint_with_a_backbone_opens_when_either_model_does(
    tmp_path: Path, layer_detects: bool, backbone_detects: bool
) -> None:
    classifier = Classifier.load(untrained_model(tmp_path / "model.npz", alarm=layer_detects))
    noise = 0.1 * np.random.default_rng(0).standard_normal((16_000, 2)).astype(np.float32)
    if backbone_detects:
        noise[:, 1] = np.abs(noise[:, 1])
    model = inference.Model(classifier, Deaf())  # type: ignore[arg-type]
    answer = inference.predict_fn(inference.Sound(noise, 16_000), model)
    assert answer["emergency"] == (layer_detects or backbone_detects)
    assert answer["label"] == "rail"
    assert (answer["emergency_score"] >= classifier.threshold) == answer["emergency"]


@pytest.mark.parametrize(("seconds", "count"), [(0.3, 1), (0.975, 1), (2.0, 5)])
def test_windows_are_a_quarter_second_apart_and_short_sounds_are_repeated(seconds: float, count: int) -> None:
    pieces = backbone.frames(np.ones(int(16000 * seconds), np.float32), 16000, 16000, 15600)
    assert pieces.shape == (count, 15600)


NETWORK = os.environ.get("ANC_BACKBONE", "")


@pytest.mark.skipif(not NETWORK, reason="ANC_BACKBONE names no embedding network")
def test_a_real_network_embeds_different_sounds_differently() -> None:
    pytest.importorskip("ai_edge_litert", reason="training is not installed: requirements/train.txt")
    embed = backbone.load_network(Path(NETWORK), "112")
    rng = np.random.default_rng(0)
    hiss, hum = rng.normal(0, 0.1, 15600), 0.3 * np.sin(np.arange(15600) * 0.05)
    one, two = embed(hiss.astype(np.float32)), embed(hum.astype(np.float32))
    assert one.shape == (1024,)
    assert np.linalg.norm(one - two) > 0.1 * np.linalg.norm(one)
