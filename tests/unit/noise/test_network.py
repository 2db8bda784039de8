"""The network in numpy, and its memory of the windows before."""

import numpy as np
import pytest

from anc.noise.network import Memory, Network

BANDS, COLUMNS, CLASSES, KINDS, FEATURES = 16, 12, 5, 3, 2
RNG = np.random.default_rng(0)


def layer(name: str, *shape: int) -> dict[str, np.ndarray]:
    return {
        f"{name}.weight": RNG.normal(0, 0.3, shape).astype(np.float32),
        f"{name}.bias": RNG.normal(0, 0.3, shape[-1]).astype(np.float32),
    }


NETWORK = {
    **layer("conv0", 3, 3, 2, 4),
    **layer("conv1", 3, 3, 4, 6),
    **layer("conv2", 3, 3, 6, 7),
    **layer("noise", 35, CLASSES),
    **layer("kinds", 35, KINDS),
    **layer("features", 35, FEATURES),
}
MEMORY = {**layer("memory", 3, KINDS + FEATURES + 1, 8), **layer("memory.out", 8, KINDS)}


def convolve_reference(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """3x3 convolution of one input, (height, width, in), cell by cell."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    rows, columns = range(0, x.shape[0], stride), range(0, x.shape[1], stride)
    return np.array([[np.tensordot(padded[i : i + 3, j : j + 3], weight, 3) for j in columns] for i in rows])


def pooled_reference(x: np.ndarray) -> np.ndarray:
    for i in range(3):
        x = convolve_reference(x, NETWORK[f"conv{i}.weight"], stride=2 if i == 0 else 1)
        x = np.maximum(x + NETWORK[f"conv{i}.bias"], 0)
        if i == 1:
            x = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max(axis=(1, 3))
    return np.concatenate([x.mean(axis=1).ravel(), x.mean(axis=0).max(axis=0)])


def test_the_network_equals_convolutions_cell_by_cell() -> None:
    x = RNG.normal(size=(2, BANDS, COLUMNS, 2)).astype(np.float32)
    outputs = Network(NETWORK)(x)
    for one, noise, evidence in zip(x, outputs.noise, outputs.evidence, strict=True):
        pooled = pooled_reference(one)
        assert noise == pytest.approx(pooled @ NETWORK["noise.weight"] + NETWORK["noise.bias"], abs=1e-4)
        kinds = pooled @ NETWORK["kinds.weight"] + NETWORK["kinds.bias"]
        features = np.maximum(pooled @ NETWORK["features.weight"] + NETWORK["features.bias"], 0)
        assert evidence == pytest.approx(np.concatenate([kinds, features]), abs=1e-4)


def test_a_window_is_judged_with_the_windows_before_it_and_no_others() -> None:
    memory = Memory(MEMORY)
    evidence = RNG.normal(size=(6, KINDS + FEATURES)).astype(np.float32)
    judged = memory(evidence)
    assert memory(evidence[:4]) == pytest.approx(judged[:4], abs=1e-5)
    assert memory(evidence[-3:])[-1] == pytest.approx(judged[-1], abs=1e-5)
    assert memory(evidence[-2:])[-1] != pytest.approx(judged[-1], abs=1e-3)


@pytest.mark.parametrize("cut", range(7))
def test_evidence_is_carried_across_batches(cut: int) -> None:
    memory = Memory(MEMORY)
    evidence = RNG.normal(size=(6, KINDS + FEATURES)).astype(np.float32)
    kept = memory.keep(evidence[:cut])
    assert len(kept) == min(cut, memory.windows - 1)
    for before in (kept, evidence[:cut]):
        parts = [memory(evidence[:cut]), memory(evidence[cut:], before)]
        assert np.concatenate(parts) == pytest.approx(memory(evidence), abs=1e-5)


@pytest.mark.parametrize("name", ["conv1.weight", "conv2.bias", "kinds.weight"])
def test_layers_that_do_not_match_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name.split(".", maxsplit=1)[0] + "|heads|conv2"):
        Network({**NETWORK, name: NETWORK[name][..., :-1]})


def test_a_memory_that_does_not_match_is_refused() -> None:
    with pytest.raises(ValueError, match="memory"):
        Memory({**MEMORY, "memory.out.weight": MEMORY["memory.out.weight"][:-1]})
