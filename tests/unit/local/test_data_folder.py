"""The data folder: permissions, lock, creation."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from anc.settings import Settings
from local import data_folder
from local.auth.issuer import Issuer
from local.auth.login_links import LoginLinks
from local.data_folder import FolderInUse, UnusableFolder, folder_lock, prepare, require_platform


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def opened_to_others(path: Path, bits: int = 0o755) -> Path:
    path.mkdir(exist_ok=True)
    path.chmod(bits)
    return path


@pytest.fixture
def platform_data(tmp_path: Path) -> Path:
    """Return the data folder of a platform."""
    Issuer(tmp_path / "data", Settings())
    return tmp_path / "data"


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    assert prepare(tmp_path / "a" / "data") == []
    assert mode(tmp_path / "a" / "data") == 0o700


@pytest.mark.parametrize("bits", [0o755, 0o777, 0o750])
def test_an_empty_folder_is_made_private(tmp_path: Path, bits: int) -> None:
    data = opened_to_others(tmp_path / "data", bits)
    assert prepare(data) == []
    assert mode(data) == 0o700


def test_a_folder_with_files_is_made_private_with_a_notice(tmp_path: Path) -> None:
    data = opened_to_others(tmp_path / "data")
    (data / "start.log").touch()
    assert prepare(data) == [f"{data} was open to other users (mode 755); it is closed now"]
    assert mode(data) == 0o700


@pytest.mark.parametrize("bits", [0o755, 0o770, 0o707])
def test_a_platform_folder_that_others_can_access_is_refused_until_it_is_made_private(
    platform_data: Path, bits: int
) -> None:
    opened_to_others(platform_data, bits)
    for use in (prepare, require_platform):
        with pytest.raises(UnusableFolder, match=f"mode {bits:o}") as refused:
            use(platform_data)
    (named,) = re.findall(r"`(.+)`", str(refused.value))
    subprocess.run(["sh", "-c", named], check=True)
    assert prepare(platform_data) == []
    require_platform(platform_data)


def test_the_suggested_command_quotes_the_name_of_the_folder(tmp_path: Path) -> None:
    data = tmp_path / "my $data"
    Issuer(data, Settings())
    opened_to_others(data)
    with pytest.raises(UnusableFolder) as refused:
        prepare(data)
    (named,) = re.findall(r"`(.+)`", str(refused.value))
    subprocess.run(["sh", "-c", named], check=True)
    assert mode(data) == 0o700


@pytest.mark.parametrize("which", ["home", "work", "sticky"])
def test_a_folder_with_other_uses_is_neither_changed_nor_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    shared = opened_to_others(tmp_path / "shared", 0o1777 if which == "sticky" else 0o755)
    (shared / "inner").mkdir()
    before = mode(shared)
    if which == "home":
        monkeypatch.setenv("HOME", str(shared / "inner"))
    elif which == "work":
        monkeypatch.chdir(shared)
    with pytest.raises(UnusableFolder, match="choose an empty or new folder"):
        prepare(shared)
    assert mode(shared) == before


def test_existing_files_are_made_private(platform_data: Path) -> None:
    (platform_data / "objects").mkdir()
    for name in ("anc.db", "anc.db-wal", "platform.log", "objects"):
        path = platform_data / name
        path.touch()
        path.chmod(0o777 if path.is_dir() else 0o666)
    assert prepare(platform_data) == []
    assert {path.name: mode(path) & 0o077 for path in platform_data.iterdir() if mode(path) & 0o077} == {}


def test_a_file_system_without_permissions_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = opened_to_others(tmp_path / "data")
    monkeypatch.setattr(Path, "chmod", lambda self, bits: None)
    with pytest.raises(UnusableFolder, match="cannot keep other users out"):
        prepare(data)


def test_an_unresolved_home_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnusableFolder, match="cannot be resolved to a home folder"):
        prepare(Path("~/data"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_without_a_platform_is_reported_and_not_changed(tmp_path: Path, exists: bool) -> None:
    data = tmp_path / "data"
    if exists:
        opened_to_others(data)
    with pytest.raises(UnusableFolder, match=re.escape(str(data))) as refused:
        require_platform(data)
    assert "start one there with `anc up`" in str(refused.value)
    assert list(tmp_path.rglob("*")) == ([data] if exists else [])


def test_the_data_of_an_earlier_version_is_suggested_for_the_default_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(data_folder, "default_folder", lambda: tmp_path / "default")
    assert data_folder.former_data(tmp_path / "default") == ""
    (tmp_path / "anc-data").mkdir()
    (tmp_path / "anc-data" / "anc.db").touch()
    assert data_folder.former_data(tmp_path / "default").endswith("--data anc-data")
    assert data_folder.former_data(tmp_path / "other") == ""
    with pytest.raises(UnusableFolder, match="--data anc-data"):
        require_platform(tmp_path / "default")


def test_a_second_process_gets_an_error_that_names_the_holder_of_the_lock(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from local.data_folder import folder_lock\n"
        "with folder_lock(Path(sys.argv[1]), 'the first', ''): print('held', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert first.stdin is not None
    assert first.stdout is not None
    first.stdout.readline()
    message = re.escape(f"{tmp_path}: in use by the first (process {first.pid}); wait")
    with pytest.raises(FolderInUse, match=message), folder_lock(tmp_path, "the second", "wait"):
        pass
    first.stdin.close()
    first.wait()
    first.stdout.close()
    with folder_lock(tmp_path, "the second", "wait"):
        assert mode(tmp_path / "lock") == 0o600


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    opened_to_others(tmp_path / "above", 0o500)
    with pytest.raises(PermissionError, match="above"):
        prepare(tmp_path / "above" / "data")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another account")
def test_what_root_writes_for_a_service_belongs_to_the_service(tmp_path: Path) -> None:
    data = tmp_path / "data"
    issuer = Issuer(data, Settings())
    account = 10_001
    for path in (data, *data.iterdir()):
        os.chown(path, account, account)
    LoginLinks(data, issuer).make("ann", "admin")
    Issuer(data, Settings()).rotate()
    created = {path.relative_to(data).parts[0]: path.stat().st_uid for path in data.rglob("*")}
    assert {"invitations", "issuer.pem", "issuer.lock"} <= set(created)
    assert set(created.values()) == {account}
