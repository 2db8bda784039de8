"""Backup and restore: one moment of a folder under writes, permissions, and damaged or hostile archives."""

import os
import shutil
import stat
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from anc.settings import Settings
from local import backup
from local.auth.certificates import Authority
from local.auth.issuer import Issuer
from local.backup import ABOUT, BackupFailed, back_up, restore
from local.data_folder import FolderInUse, UnusableFolder, lock_folder
from local.storage import schema_version
from local.storage.database import Database
from local.storage.objects import FileObjects
from tests.processes import until
from tools.cli.main import app

Members = list[tuple[str, bytes]]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data folder of a platform that was started before."""
    data = tmp_path_factory.mktemp("template") / "site"
    Issuer(data, Settings())
    Authority(data / "certificates")
    connection = Database(data / "anc.db").connection
    connection.execute("CREATE TABLE jobs (key TEXT)")
    connection.close()  # which removes the log: not while the folder is copied
    FileObjects(data / "objects").put("results/1.wav", b"sound")
    data.chmod(0o700)
    return data


@pytest.fixture
def site(template: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder."""
    return Path(shutil.copytree(template, tmp_path / "site"))


@pytest.fixture
def archive(site: Path, tmp_path: Path) -> Path:
    back_up(site, tmp_path / "good.zip")
    return tmp_path / "good.zip"


def content(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by name, without the database and the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(("anc.db", "lock"))
    }


def rewritten(archive: Path, change: Callable[[Members], None]) -> Path:
    """Write a copy of an archive with other members."""
    with zipfile.ZipFile(archive) as opened:
        members = [(name, opened.read(name)) for name in opened.namelist()]
    change(members)
    copy = archive.with_name("changed.zip")
    with zipfile.ZipFile(copy, "w") as opened:
        for name, data in members:
            opened.writestr(name, data)
    return copy


def test_a_restored_folder_has_the_same_files_and_no_others(
    site: Path, archive: Path, tmp_path: Path
) -> None:
    (site / "platform.log").write_text("log")
    before = content(site)
    del before["platform.log"]
    restored = restore(archive, tmp_path / "new" / "site")
    assert content(tmp_path / "new" / "site") == before
    assert restored.files == len(before) + 1
    assert not list(site.glob(".backup-*"))


def test_times_of_files_survive_since_retention_depends_on_them(site: Path, tmp_path: Path) -> None:
    os.utime(site / "objects/results/1.wav", (1_600_000_000, 1_600_000_000))
    back_up(site, tmp_path / "b.zip")
    restore(tmp_path / "b.zip", tmp_path / "new")
    assert (tmp_path / "new/objects/results/1.wav").stat().st_mtime == 1_600_000_000


def test_every_record_in_a_backup_under_writes_has_its_file(site: Path, tmp_path: Path) -> None:
    stop, written = threading.Event(), []
    objects = FileObjects(site / "objects")

    def write() -> None:
        database = Database(site / "anc.db")
        while not stop.is_set():
            key = f"results/{len(written):06d}.wav"
            objects.put(key, key.encode())
            with database.writing() as connection:
                connection.execute("INSERT INTO jobs VALUES (?)", (key,))
            written.append(key)
            if len(written) > 20:
                with database.writing() as connection:
                    connection.execute("DELETE FROM jobs WHERE key = ?", (written[-20],))
                objects.delete(written[-20])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: len(written) > 30)
        acknowledged = len(written)
        back_up(site, tmp_path / "b.zip")
    finally:
        stop.set()
        writer.join()
    assert len(written) > acknowledged, "writes continue during a backup"
    restore(tmp_path / "b.zip", tmp_path / "new")
    rows = (
        Database(tmp_path / "new/anc.db").connection.execute("SELECT key FROM jobs ORDER BY key").fetchall()
    )
    assert rows[-1][0] >= written[acknowledged - 1], "everything acknowledged before is in it"
    restored = FileObjects(tmp_path / "new/objects")
    assert [key for (key,) in rows if restored.get(key) != key.encode()] == []


def test_only_the_owner_can_read_archive_and_restored_files(site: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        back_up(site, tmp_path / "b.zip")
        restore(tmp_path / "b.zip", tmp_path / "new")
    finally:
        os.umask(before)
    for path in (tmp_path / "b.zip", tmp_path / "new", *(tmp_path / "new").rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_files_on_another_disk_are_copied(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    before = content(site)
    back_up(site, tmp_path / "b.zip")
    restore(tmp_path / "b.zip", tmp_path / "new")
    assert content(tmp_path / "new") == before


def test_unfinished_uploads_are_in_a_backup_and_temporary_files_are_not(site: Path, tmp_path: Path) -> None:
    objects = FileObjects(site / "objects")
    parts = objects.begin("uploads/1")
    objects.put_part("uploads/1", parts, 1, b"part")
    with objects.incoming() as file:
        file.write(b"half")
        file.flush()
        back_up(site, tmp_path / "b.zip")
    restore(tmp_path / "b.zip", tmp_path / "new")
    restored = FileObjects(tmp_path / "new/objects")
    restored.finish("uploads/1", parts)
    assert restored.get("uploads/1") == b"part"
    assert sorted(path.name for path in (tmp_path / "new/objects").iterdir()) == [
        ".parts",
        "results",
        "uploads",
    ]


def test_a_backup_replaces_no_file_and_is_not_in_the_folder(site: Path, archive: Path) -> None:
    with pytest.raises(BackupFailed, match="exists already"):
        back_up(site, archive)
    with pytest.raises(BackupFailed, match="is in the data folder"):
        back_up(site, site / "b.zip")
    with pytest.raises(UnusableFolder, match="holds no platform"):
        back_up(archive.parent, archive.with_name("b.zip"))


def test_a_backup_that_fails_leaves_nothing(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_add", fail)
    before = sorted(site.iterdir())
    with pytest.raises(OSError, match="No space"):
        back_up(site, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()
    assert [path for path in sorted(site.iterdir()) if path not in before] == []


def test_a_folder_that_may_not_be_read_is_not_left_out(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir, private = os.scandir, site / "objects" / "results"

    def refused(path: str | int) -> object:
        if str(path) == str(private):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)  # also for root, whom permissions do not stop
    with pytest.raises(PermissionError, match="results"):
        back_up(site, tmp_path / "new.zip")
    assert not (tmp_path / "new.zip").exists()


def test_a_full_disk_is_noticed_before_anything_is_written(
    archive: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _: _Usage)
    with pytest.raises(BackupFailed, match="but the disk has 0 free"):
        back_up(site, tmp_path / "b.zip")
    with pytest.raises(BackupFailed, match="but the disk has 0 free"):
        restore(archive, tmp_path / "new")
    assert not (tmp_path / "new").exists()


class _Usage:
    free = 0


def test_a_folder_with_files_is_not_overwritten(archive: Path, site: Path) -> None:
    before = content(site)
    with pytest.raises(BackupFailed, match="is not empty"):
        restore(archive, site)
    assert content(site) == before


def test_a_folder_in_use_is_not_restored_to(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    held = lock_folder(tmp_path / "new", "the platform", "stop it")
    try:
        with pytest.raises(FolderInUse, match="the platform"):
            restore(archive, tmp_path / "new")
    finally:
        os.close(held)


NAMES = ["../outside", "/tmp/outside", "a/../../outside", "a\\..\\b", "./a", "a//b", "lock", "certificates"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_outside_the_folder_is_refused(archive: Path, tmp_path: Path, name: str) -> None:
    changed = rewritten(archive, lambda members: members.append((name, b"x")))
    _refused(changed, tmp_path)


def test_links_compression_duplicates_and_missing_files_are_refused(archive: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("objects/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    packed = zipfile.ZipInfo("objects/packed")
    packed.compress_type = zipfile.ZIP_DEFLATED
    for member in (link, packed):
        changed = rewritten(archive, lambda members: None)
        with zipfile.ZipFile(changed, "a") as opened:
            opened.writestr(member, b"/etc/passwd" * 100)
        _refused(changed, tmp_path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = rewritten(archive, lambda members: members.append(members[1]))
    _refused(twice, tmp_path)
    _refused(rewritten(archive, lambda members: members.__delitem__(-1)), tmp_path)
    _refused(rewritten(archive, lambda members: members.reverse()), tmp_path)


def test_an_archive_of_another_kind_or_version_is_refused(archive: Path, tmp_path: Path) -> None:
    def newer(members: Members) -> None:
        members[0] = (ABOUT, members[0][1].replace(b'"format": 1', b'"format": 2'))

    assert "another format" in _refused(rewritten(archive, newer), tmp_path)
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as opened:
        opened.writestr("a.txt", "a")
    assert "no backup" in _refused(other, tmp_path)
    other.write_text("no archive")
    assert "no backup" in _refused(other, tmp_path)


def test_a_changed_or_cut_archive_is_refused_at_every_place(archive: Path, tmp_path: Path) -> None:
    good = archive.read_bytes()
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(archive) as opened:
        members = {member.filename: member for member in opened.infolist()}
    for name in ("anc.db", "issuer.pem", "objects/results/1.wav"):
        place = members[name].header_offset + 30 + len(name) + 24  # after the ZIP64 field
        damaged.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        _refused(damaged, tmp_path)
    for length in range(0, len(good), len(good) // 25):
        damaged.write_bytes(good[:length])
        _refused(damaged, tmp_path)


def test_a_damaged_database_is_refused(archive: Path, tmp_path: Path) -> None:
    def damage(members: Members) -> None:
        (k,) = [k for k, (name, _) in enumerate(members) if name == "anc.db"]
        members[k] = ("anc.db", b"x" * len(members[k][1]))

    assert "database" in _refused(rewritten(archive, damage), tmp_path)


def test_commands_print_one_sentence_on_an_error(archive: Path, site: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    for command in (["backup", str(archive)], ["restore", str(archive)], ["restore", str(tmp_path / "none")]):
        answer = run(app, [*command, "--data", str(site if "none" not in command[1] else tmp_path / "new")])
        assert (answer.exit_code, answer.stdout) == (2, "")
        assert answer.stderr.startswith("anc: ")
        assert answer.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


def _refused(archive: Path, tmp_path: Path) -> str:
    target = tmp_path / "restored"
    with pytest.raises(BackupFailed) as refusal:
        restore(archive, target)
    assert not target.exists(), "nothing stays"
    assert str(refusal.value).startswith(str(archive))
    return str(refusal.value)


def test_a_backup_of_a_newer_version_is_refused_and_leaves_nothing(site: Path, tmp_path: Path) -> None:
    with Database(site / "anc.db").writing() as connection:
        schema_version.mark(connection)
        connection.execute("INSERT INTO releases VALUES (?, '99.1.0')", (schema_version.SCHEMA + 1,))
        connection.execute(f"PRAGMA user_version = {schema_version.SCHEMA + 1}")
    archive, target = tmp_path / "newer.zip", tmp_path / "target"
    back_up(site, archive)
    with pytest.raises(UnusableFolder, match=r"newer\.zip: written by version 99\.1\.0"):
        restore(archive, target)
    assert not target.exists()
