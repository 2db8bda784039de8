"""The search for secrets that CI makes: in the tree, and in what each commit of a change added."""

import secrets
import shutil
import string
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "scan_secrets.py"
UNKNOWN = "0" * 40  # what GitHub says of a branch that was not there before

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="no git on this machine")


def private_key() -> str:
    """Return a new private key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def aws_key() -> str:
    """Return what looks as the id of an access key of AWS."""
    letters = string.ascii_uppercase + string.digits
    return f'key_id = "{"AKIA"}{"".join(secrets.choice(letters) for _ in range(16))}"\n'


PLANTED = {"Private Key": private_key, "AWS Access Key": aws_key}


class Repository:
    """A repository of a test's own, with one commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")
        self.commit("readme.txt", "nothing to hide\n")

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false")
        command = ["git", *who, *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        self.git("add", "-A")

    def commit(self, name: str, text: str) -> str:
        self.write(name, text)
        self.git("commit", "-qm", name)
        return self.git("rev-parse", "HEAD").strip()


def search(folder: Path, *base: str) -> tuple[int, str]:
    command = [sys.executable, str(SCRIPT), *base]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_this_tree_and_its_latest_commits_hold_no_secret() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    ended, printed = search(ROOT)
    assert ended == 0, printed


@pytest.mark.parametrize("kind", PLANTED)
def test_a_secret_in_the_tree_is_found_and_not_shown(repository: Repository, kind: str) -> None:
    planted = PLANTED[kind]()
    repository.write("settings.py", f"a = 1\n{planted}")
    ended, printed = search(repository.folder)
    assert (ended, printed.splitlines()[0]) == (1, f"settings.py:2: {kind}")
    assert not any(line in printed for line in planted.splitlines())


@pytest.mark.parametrize("kind", PLANTED)
def test_a_secret_that_one_commit_added_and_the_next_one_removed_is_found(
    repository: Repository, kind: str
) -> None:
    base = repository.git("rev-parse", "HEAD").strip()
    bad = repository.commit("notes.md", PLANTED[kind]())
    good = repository.commit("notes.md", "nothing\n")
    for known in ((base,), (UNKNOWN,), ()):
        ended, printed = search(repository.folder, *known)
        assert (ended, printed.splitlines()[0]) == (1, f"commit {bad[:12]}, notes.md: {kind}")
    assert search(repository.folder, good)[0] == 0, "the change after it is clean"


def test_a_secret_that_a_merge_adds_is_found(repository: Repository) -> None:
    repository.git("checkout", "-qb", "side")
    repository.commit("side.txt", "side\n")
    repository.git("checkout", "-q", "main")
    base = repository.commit("main.txt", "main\n")
    repository.git("merge", "-q", "--no-commit", "side")
    merge = repository.commit("main.txt", f"main\n{aws_key()}")
    repository.commit("main.txt", "main\n")
    ended, printed = search(repository.folder, base)
    assert (ended, printed.splitlines()[0]) == (1, f"commit {merge[:12]}, main.txt: AWS Access Key")


def test_a_comment_exempts_nothing(repository: Repository) -> None:
    repository.write("settings.py", aws_key().strip() + "  # pragma: allowlist secret\n")
    assert search(repository.folder)[0] == 1


def test_a_file_that_keeps_keys_is_found_by_its_name(repository: Repository) -> None:
    (repository.folder / "ca.p12").write_bytes(b"\0binary")
    repository.git("add", "-A")
    assert search(repository.folder)[1].startswith("ca.p12:1: Key file\n")


def test_a_shallow_clone_is_searched_as_far_as_it_goes(repository: Repository, tmp_path: Path) -> None:
    base = repository.git("rev-parse", "HEAD").strip()
    repository.commit("notes.md", aws_key())
    repository.commit("notes.md", "nothing\n")
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth", "1", f"file://{repository.folder}", str(clone))
    assert search(clone, base) == (0, "secrets: 0 found in 2 files and 1 commits\n")
