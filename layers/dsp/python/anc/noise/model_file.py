"""The model as a file: one .npz of arrays that says what it is, and proves that it is whole."""

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

VERSION = 1
LARGEST = 64 << 20  # bytes unpacked: room for a far larger model, none for a bomb
MOST_ARRAYS = 1000
NUMBERS = (np.dtype("<f2"), np.dtype("<f4"))
# What zipfile, zlib, numpy and json raise for bytes that are no model: of passwords, unknown methods, ...
UNREADABLE = (
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
    RuntimeError,  # RecursionError and NotImplementedError too
    OverflowError,
    MemoryError,
)


class ModelError(Exception):
    """The file is no model that this code can run; the message names the file and what is wrong."""


@dataclass(frozen=True)
class ModelFile:
    """Arrays and description of a model.

    Attributes
    ----------
    arrays : dict of str to arrays
        Weights, float16 or float32.
    about : dict
        ``name`` and ``classes`` at least; all JSON.
    sha256 : str
        Of arrays and description together: names this very model.
    """

    arrays: dict[str, NDArray[np.floating]]
    about: dict[str, Any]
    sha256: str


def digest(arrays: Mapping[str, NDArray[np.floating]], about: Mapping[str, Any]) -> str:
    """SHA-256 over everything a model is made of, whatever the order in the file."""
    total = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def save(path: Path, arrays: Mapping[str, NDArray[np.floating]], about: Mapping[str, Any]) -> ModelFile:
    """Write a model; `about` gets the version of the format and the hash of the features in use."""
    about = {**about, "version": VERSION, "features": FEATURE_HASH}
    label = json.dumps({**about, "sha256": digest(arrays, about)}, sort_keys=True).encode()
    with path.open("wb") as file:  # a file object: numpy appends ".npz" to bare names
        np.savez_compressed(file, about=np.frombuffer(label, np.uint8), **arrays)  # type: ignore[arg-type]
    return load(path)


def _members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MOST_ARRAYS:
        raise ModelError(f"{path}: holds {len(members):,} arrays, at most {MOST_ARRAYS:,}")
    if sum(member.file_size for member in members) > LARGEST:
        raise ModelError(f"{path}: unpacks to over {LARGEST >> 20} MB")
    return members


def _array(path: Path, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read one array. Its header may promise more than there is: nothing is allocated by its word."""
    with archive.open(f"{name}.npy") as file:
        data = file.read(LARGEST + 1)
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ModelError(
            f"{path}: no model file: {name}: version {version} of the .npy format is not read here"
        )
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read(stream)
    size = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or size != len(data) - stream.tell():
        raise ModelError(f"{path}: no model file: {name}: its header does not fit its {len(data):,} bytes")
    flat = np.frombuffer(data, dtype, math.prod(shape), stream.tell())
    return flat.reshape(shape, order="F" if columns_first else "C")


def load(path: Path) -> ModelFile:
    """Read a model and refuse all that is not whole, not ours or not of today's features.

    Raises
    ------
    ModelError
        The file cannot be read, is no .npz, has over 1,000 arrays, unpacks to over 64 MB, holds anything but
        finite float16 or float32 numbers, is of another version, was trained on other features, or does not
        hash to what it claims.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [member.filename.removesuffix(".npy") for member in _members(path, archive)]
            arrays = {name: _array(path, archive, name) for name in names}
        about = json.loads(arrays.pop("about").tobytes())
        claimed = about.pop("sha256")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UNREADABLE as error:
        raise ModelError(f"{path}: no model file: {error}") from error
    for name, array in arrays.items():
        if array.dtype not in NUMBERS or not np.isfinite(array).all():
            raise ModelError(f"{path}: {name}: finite float16 or float32 numbers are needed")
    if about.get("version") != VERSION:
        raise ModelError(f"{path}: version {about.get('version')}, this code reads {VERSION}")
    if about.get("features") != FEATURE_HASH:
        raise ModelError(f"{path}: trained on other features; train it anew with this version")
    if digest(arrays, about) != claimed:
        raise ModelError(f"{path}: damaged: its SHA-256 is not the one it claims")
    return ModelFile(arrays, about, claimed)
