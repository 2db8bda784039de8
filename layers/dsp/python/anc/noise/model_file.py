"""The model as a file: one .npz of arrays that says what it is, and proves that it is whole."""

import hashlib
import json
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


def load(path: Path) -> ModelFile:
    """Read a model and refuse all that is not whole, not ours or not of today's features.

    Raises
    ------
    ModelError
        The file cannot be read, is no .npz, unpacks to over 64 MB, holds objects, is of another version, was
        trained on other features, or does not hash to what it claims.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST:
                raise ModelError(f"{path}: unpacks to over {LARGEST >> 20} MB")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays.pop("about").tobytes())
        claimed = about.pop("sha256")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, ValueError, KeyError, AttributeError, TypeError, EOFError) as error:
        raise ModelError(f"{path}: no model file: {error}") from error
    except zlib.error as error:
        raise ModelError(f"{path}: damaged: {error}") from error
    if about.get("version") != VERSION:
        raise ModelError(f"{path}: version {about.get('version')}, this code reads {VERSION}")
    if about.get("features") != FEATURE_HASH:
        raise ModelError(f"{path}: trained on other features; train it anew with this version")
    if digest(arrays, about) != claimed:
        raise ModelError(f"{path}: damaged: its SHA-256 is not the one it claims")
    return ModelFile(arrays, about, claimed)
