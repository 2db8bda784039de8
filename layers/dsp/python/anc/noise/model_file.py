"""Model files: one .npz of arrays with a description and a checksum."""

import hashlib
import io
import json
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc.noise.features import FEATURE_HASH

VERSION = 2  # of the format and of the network's architecture
MAX_UNPACKED_BYTES = 64 << 20  # room for a far larger model, but not for a decompression bomb
MAX_ARRAYS = 1000
WEIGHT_DTYPES = (np.dtype("<f2"), np.dtype("<f4"))
# Raised by zipfile, zlib, numpy and json for invalid files: damage, encryption, unknown compression, ...
DECODE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    SyntaxError,
    ValueError,
    KeyError,
    AttributeError,
    TypeError,
    EOFError,
    RuntimeError,  # includes RecursionError and NotImplementedError
    OverflowError,
    MemoryError,
)


class ModelError(Exception):
    """The file is not a model that this version can run. The message names the file and the problem."""


@dataclass(frozen=True)
class ModelFile:
    """Weights and description of a model.

    Attributes
    ----------
    arrays : dict of str to arrays
        Weights, float16 or float32.
    about : dict
        At least ``name`` and ``classes``; JSON values.
    sha256 : str
        Of arrays and description.
    """

    arrays: dict[str, NDArray[np.floating]]
    about: dict[str, Any]
    sha256: str


def digest(arrays: Mapping[str, NDArray[np.floating]], about: Mapping[str, Any]) -> str:
    """Return the SHA-256 of weights and description, independent of their order in the file."""
    total = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def save(path: Path, arrays: Mapping[str, NDArray[np.floating]], about: Mapping[str, Any]) -> ModelFile:
    """Write a model. The format version and the hash of the features are added to `about`."""
    about = {**about, "version": VERSION, "features": FEATURE_HASH}
    label = json.dumps({**about, "sha256": digest(arrays, about)}, sort_keys=True).encode()
    with path.open("wb") as file:  # a file object: numpy appends ".npz" to bare names
        np.savez_compressed(file, about=np.frombuffer(label, np.uint8), **arrays)  # type: ignore[arg-type]
    return load(path)


def _members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MAX_ARRAYS:
        raise ModelError(f"{path}: must have at most {MAX_ARRAYS:,} arrays (got {len(members):,})")
    if sum(member.file_size for member in members) > MAX_UNPACKED_BYTES:
        raise ModelError(f"{path}: must unpack to at most {MAX_UNPACKED_BYTES >> 20} MB")
    return members


def _array(path: Path, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read one array. Memory is allocated for the data present, not for the shape in the header."""
    with archive.open(f"{name}.npy") as file:
        data = file.read(MAX_UNPACKED_BYTES + 1)
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ModelError(
            f"{path}: not a model file: {name}: unsupported version {version} of the .npy format"
        )
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read(stream)
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or size != len(data) - stream.tell():
        raise ModelError(
            f"{path}: not a model file: {name}: the header does not match its {len(data):,} bytes"
        )
    flat = np.frombuffer(data, dtype, math.prod(shape), stream.tell())
    return flat.reshape(shape, order="F" if fortran_order else "C")


def load(path: Path) -> ModelFile:
    """Read and validate a model file.

    Raises
    ------
    ModelError
        If the file cannot be read, is no .npz, has over 1,000 arrays, unpacks to over 64 MB, contains
        anything but finite float16 or float32 numbers, has another version or checksum, or was trained on
        other features.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [member.filename.removesuffix(".npy") for member in _members(path, archive)]
            arrays = {name: _array(path, archive, name) for name in names}
        about = json.loads(arrays.pop("about").tobytes())
        claimed = about.pop("sha256")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    except DECODE_ERRORS as error:
        raise ModelError(f"{path}: not a model file: {error}") from error
    for name, array in arrays.items():
        if array.dtype not in WEIGHT_DTYPES or not np.isfinite(array).all():
            raise ModelError(f"{path}: {name}: weights must be finite float16 or float32 numbers")
    if about.get("version") != VERSION:
        raise ModelError(
            f"{path}: version must be {VERSION} (got version {about.get('version')}); "
            "train it again with this version"
        )
    if about.get("features") != FEATURE_HASH:
        raise ModelError(f"{path}: trained on other features; train it again with this version")
    if digest(arrays, about) != claimed:
        raise ModelError(f"{path}: damaged: its SHA-256 does not match")
    return ModelFile(arrays, about, claimed)
