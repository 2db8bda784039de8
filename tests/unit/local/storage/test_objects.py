"""The file store of the local platform: atomic writes, and no access outside of its folder."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.ports import StorageUnavailable
from local.storage.objects import FileObjects

OUTSIDE = ["", ".", "..", "../secret", "a/../../secret", "/etc/passwd", "a/../..", "./", "a/.."]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.mark.parametrize("key", OUTSIDE)
def test_a_key_outside_of_the_store_is_refused(folder: Path, key: str) -> None:
    objects = FileObjects(folder)
    secret = folder.parent / "secret"
    secret.write_text("mine")
    for use in (objects.get, objects.delete, lambda key: objects.put(key, b"theirs")):
        with pytest.raises(ValueError, match="does not name a file of the store"):
            use(key)
    assert secret.read_text() == "mine"


@settings(max_examples=150, deadline=None)
@given(key=st.text(st.sampled_from("a./~\\ \n"), max_size=12))
def test_no_key_gives_access_outside_of_the_folder(
    tmp_path_factory: pytest.TempPathFactory, key: str
) -> None:
    above = tmp_path_factory.mktemp("above")
    objects = FileObjects(above / "objects")
    try:
        objects.put(key, b"data")
    except (ValueError, OSError):
        stored = 0
    else:
        stored = 1
        assert objects.get(key) == b"data"
    assert [path.name for path in above.iterdir()] == ["objects"]
    assert sum(path.is_file() for path in (above / "objects").rglob("*")) == stored


def test_a_symbolic_link_out_of_the_store_is_not_followed(folder: Path) -> None:
    objects = FileObjects(folder)
    (folder.parent / "secret").write_text("mine")
    (folder / "way-out").symlink_to(folder.parent)
    with pytest.raises(ValueError, match="does not name a file of the store"):
        objects.get("way-out/secret")


def test_stored_data_survives_a_restart(folder: Path) -> None:
    FileObjects(folder).put("results/1.wav", b"data")
    assert FileObjects(folder).get("results/1.wav") == b"data"


def test_a_reader_never_sees_a_partial_file(folder: Path) -> None:
    objects = FileObjects(folder)
    old, new = b"a" * 2_000_000, b"b" * 2_000_000
    objects.put("file", old)
    written = threading.Event()

    def write() -> None:
        for _ in range(10):
            objects.put("file", new)
            objects.put("file", old)
        written.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not written.is_set() or not reads:
        assert objects.get("file") in (old, new)
        reads += 1
    writer.join()


def test_a_failed_write_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = FileObjects(folder)
    objects.put("file", b"old")

    def disk_full(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("local.storage.objects.os.replace", disk_full)
    with pytest.raises(StorageUnavailable, match="No space left"):
        objects.put("file", b"new")
    assert objects.get("file") == b"old"
    assert [path.name for path in folder.iterdir()] == ["file"], "and nothing half-written"


def test_a_folder_is_not_a_file(folder: Path) -> None:
    objects = FileObjects(folder)
    objects.put("folder/file", b"data")
    assert objects.get("folder") is None


def test_a_file_is_forced_to_the_disk_before_it_gets_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    objects = FileObjects(folder)
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(objects.path("kept/a") is None))
    objects.put("kept/a", b"data")
    assert synced == [True]
    assert objects.get("kept/a") == b"data"
