"""Damaged model files are refused with the file name and without large allocations."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anc.noise import Classifier, ModelError
from anc.noise.classifier import DEFAULT_MODEL
from anc.noise.model_file import digest

CONTENT = DEFAULT_MODEL.read_bytes()
properties = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.npz"


def bundled_model() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with np.load(DEFAULT_MODEL, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    about = json.loads(arrays.pop("about").tobytes())
    del about["sha256"]
    return arrays, about


def write(path: Path, arrays: dict[str, np.ndarray], about: Any) -> None:
    """Write a model with a valid checksum."""
    label = json.dumps({**about, "sha256": digest(arrays, about)}).encode()
    np.savez(path, about=np.frombuffer(label, np.uint8), **arrays)  # type: ignore[arg-type]


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as fault:
        Classifier.load(path)
    assert str(path) in str(fault.value)
    return str(fault.value)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Allow a ModelError that names the file."""
    try:
        yield
    except ModelError as fault:
        if str(path) not in str(fault):
            raise AssertionError("the file is not named") from fault


def npy(header: str, data: bytes = bytes(64)) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)


@properties
@given(at=st.integers(0, len(CONTENT) - 1), byte=st.integers(1, 255))
def test_a_file_with_a_changed_byte_is_refused_or_loads_as_it_was(path: Path, at: int, byte: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[at] ^= byte
    path.write_bytes(damaged)
    with named(path):
        assert Classifier.load(path).sha256 == Classifier.load().sha256


@properties
@given(size=st.integers(0, len(CONTENT) - 1))
def test_a_file_that_ends_early_is_refused(path: Path, size: int) -> None:
    path.write_bytes(CONTENT[:size])
    refused(path)


@properties
@given(data=st.binary(max_size=300))
def test_random_bytes_as_an_array_are_refused(path: Path, data: bytes) -> None:
    archive(path, {"about.npy": data})
    refused(path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-4,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 100 + ")}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (8,)}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (16,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (16,)}",
        "__import__('os')",
        "(" * 500,
        "{'a':" * 300,
        "'unclosed",
        "\x00",
    ],
)
def test_a_header_with_a_wrong_shape_allocates_nothing_and_is_refused(path: Path, header: str) -> None:
    _, about = bundled_model()
    stored = io.BytesIO()
    np.save(stored, np.frombuffer(json.dumps({**about, "sha256": "x"}).encode(), np.uint8))
    archive(path, {"about.npy": stored.getvalue(), "weights.npy": npy(header)})
    refused(path)


def test_a_decompression_bomb_and_too_many_arrays_are_refused(path: Path) -> None:
    archive(path, {"about.npy": bytes(80 << 20)}, zipfile.ZIP_DEFLATED)
    assert "must unpack to at most 64 MB" in refused(path)
    archive(path, {f"{number}.npy": b"" for number in range(2000)})
    assert "at most 1,000 arrays (got 2,000)" in refused(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_in_an_archive_with_another_compression_is_refused(path: Path, method: int) -> None:
    archive(path, {"about.npy": bytes(1000)}, method)
    data = bytearray(path.read_bytes())
    for at in range(45, 60):
        data[at] ^= 0xFF
    path.write_bytes(data)
    refused(path)


def test_an_encrypted_archive_is_refused(path: Path) -> None:
    data = bytearray(CONTENT)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(signature, at + 4)
    path.write_bytes(data)
    refused(path)


ARRAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "complex": lambda array: array.astype(complex),
    "text": lambda array: array.astype(str),
    "whole numbers": lambda array: array.astype(np.int64),
    "double": lambda array: array.astype(np.float64),
    "not a number": lambda array: np.full_like(array, np.nan),
    "infinite": lambda array: np.full_like(array, np.inf),
    "one number": lambda array: np.float32(1.0),  # type: ignore[return-value]
    "empty": lambda array: array[:0],
    "flat": lambda array: array.ravel(),
    "one more axis": lambda array: array[None],
    "turned": lambda array: array.T.copy() if array.ndim > 1 else array[1:],
}


@pytest.mark.parametrize("damage", ARRAYS)
@pytest.mark.parametrize("name", sorted(bundled_model()[0]))
def test_weights_of_another_type_or_shape_are_refused(path: Path, name: str, damage: str) -> None:
    arrays, about = bundled_model()
    changed = ARRAYS[damage](arrays[name])
    if (
        changed.shape == arrays[name].shape
        and changed.dtype == arrays[name].dtype
        and np.isfinite(changed).all()
    ):
        pytest.skip("it is as it was")
    write(path, arrays | {name: changed}, about)
    refused(path)


@pytest.mark.parametrize("field", ["name", "classes", "labels", "temperature"])
@pytest.mark.parametrize(
    "value", [None, [], {}, "x", 0, -1, 1e400, float("nan"), 10**400, [0], ["x"], {"x": "y"}]
)
def test_an_invalid_description_is_refused_or_gives_finite_results(
    path: Path, field: str, value: Any
) -> None:
    arrays, about = bundled_model()
    write(path, arrays, about | {field: value})
    with named(path):
        prediction = Classifier.load(path).classify(np.zeros(16_000), 16_000)
        assert np.isfinite(list(prediction.probabilities.values())).all()
        assert sum(prediction.probabilities.values()) == pytest.approx(1.0)


def test_a_memory_without_limit_is_refused(path: Path) -> None:
    arrays, about = bundled_model()
    weight = arrays["memory.weight"]
    write(path, arrays | {"memory.weight": np.repeat(weight[:1], 33, axis=0)}, about)
    assert "memory: must judge at most 32 windows (got 33)" in refused(path)


def test_evidence_that_the_memory_does_not_expect_is_refused(path: Path) -> None:
    arrays, about = bundled_model()
    write(path, arrays | {"memory.weight": arrays["memory.weight"][:, 1:]}, about)
    assert "sizes" in refused(path)


def test_a_deeply_nested_description_is_refused(path: Path) -> None:
    text = np.frombuffer(b"[" * 100_000, np.uint8)
    np.savez(path, about=text)
    refused(path)
