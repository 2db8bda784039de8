"""`anc up` either serves or exits at once with one line of error and a non-zero code."""

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest
from typer.testing import CliRunner

from anc.settings import Settings
from anc_client import ApiError, Client, NewUpload
from local.auth.issuer import Issuer
from local.process import free_port
from simulation.acoustic_plant import AcousticPlant
from tests.processes import ANC, PATIENCE_S, Platform
from tests.processes import until as until_found
from tools.cli.demo import headset_folder, register
from tools.cli.main import app

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"Console: +(http://127\.0\.0\.1:[0-9]+)/#code=([\w-]+)")
COLOURS = re.compile(r"\x1b\[[\d;?]*\w")
NARROW = 40  # columns

Start = Callable[..., "subprocess.Popen[str]"]


def anc(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command until it exits."""
    return subprocess.run(
        [ANC, *arguments], capture_output=True, text=True, cwd=cwd, timeout=PATIENCE_S, check=False
    )


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Start]:
    """Return `begin(*arguments)`, which starts a command until the test ends, with its output in a pipe."""
    running = []

    def start(*arguments: str, **options: object) -> "subprocess.Popen[str]":
        options = {"stdout": subprocess.PIPE, "cwd": tmp_path, "text": True, **options}
        process = subprocess.Popen([ANC, *arguments], **options)  # type: ignore[call-overload]
        running.append(process)
        return process  # type: ignore[no-any-return]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Wait for a condition while a process runs."""
    until_found(lambda: condition() or process.poll() is not None)
    assert process.poll() is None, "it ended"


def is_online(thing: str, client: Client) -> bool:
    try:
        return client.device(thing).online is True
    except ApiError:  # not registered yet
        return False


def link_in(lines: IO[str]) -> tuple[str, str]:
    """Read lines until the console's link, and return its URL and code."""
    for line in lines:
        if found := LINK.search(COLOURS.sub("", line)):
            return found[1], found[2]
    pytest.fail("no link was printed")


def sign_in(url: str, code: str) -> int:
    return httpx.post(f"{url}/sign-in", json={"code": code}, timeout=PATIENCE_S, trust_env=False).status_code


@pytest.mark.parametrize(
    ("shared", "command"),
    [
        ("port", ["up"]),
        ("port", ["up", "--demo", "--json"]),
        ("MQTT port", ["up", "--demo"]),
        ("folder", ["up"]),
        ("folder", ["up", "--demo"]),
    ],
    ids=str,
)
def test_a_second_platform_on_the_same_folder_or_port_is_rejected(
    shared_platform: Platform, tmp_path: Path, shared: str, command: list[str]
) -> None:
    first, data = shared_platform, tmp_path / "data"
    port = {"port": first.port, "MQTT port": first.port + 1, "folder": free_port()}[shared]
    message = {
        "port": f"--port {port}: another ANC platform uses it already; stop it or choose another port",
        "MQTT port": f"--port {port}: another program uses it already; stop it or choose another port",
        "folder": f"{first.data}: in use by the platform on port {first.port}"
        f" (process {first.process.pid}); stop it, or choose another folder with --data and another --port",
    }[shared]
    second = anc(
        *command, "--port", str(port), "--data", str(first.data if shared == "folder" else data), cwd=tmp_path
    )
    assert (second.returncode, second.stdout, second.stderr) == (2, "", f"anc: {message}\n")
    assert first.request("GET", "/health")[0] == 200, "the first one is not disturbed"


def test_a_second_headset_of_the_same_name_is_rejected(shared_platform: Platform, tmp_path: Path) -> None:
    where = ["--port", str(shared_platform.port), "--data", str(shared_platform.data)]
    with headset_folder(shared_platform.data, "twice"):
        second = anc("headset", "--thing", "twice", *where, cwd=tmp_path)
    assert (second.returncode, second.stdout) == (2, "")
    advice = "stop it, or choose another name with --thing"
    assert second.stderr.endswith(f"in use by a headset of this name (process {os.getpid()}); {advice}\n")
    assert second.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["console"], ["headset"], ["smoke"]], ids=lambda command: command[0])
def test_a_platform_with_another_data_folder_is_reported(
    shared_platform: Platform, tmp_path: Path, command: list[str]
) -> None:
    Issuer(tmp_path / "other", Settings())
    answer = anc(*command, "--port", str(shared_platform.port), "--data", "other", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    url = f"http://127.0.0.1:{shared_platform.port}"
    assert answer.stderr == (
        f"anc: the platform at {url} uses another folder than other; set it with --data\n"
    )


@pytest.mark.parametrize("command", [["up"], ["up", "--demo"], ["headset"], ["console"]], ids=" ".join)
@pytest.mark.parametrize("port", ["0", "65535", "-1", "http"])
def test_an_invalid_port_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], port: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(app, [*command, "--port", port, "--data", "data"])
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "--port" in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_up_demo_prints_addresses_and_result_as_json(begin: Start, tmp_path: Path) -> None:
    port = free_port()
    demo = begin("up", "--demo", "--json", "--port", str(port), "--data", "data")
    assert demo.stdout is not None
    where = json.loads(demo.stdout.readline())
    url = f"http://127.0.0.1:{port}"
    assert where == {
        "url": url,
        "socket": f"ws://127.0.0.1:{port}/ws",
        "mqtt_port": port + 1,
        "data": str(tmp_path / "data"),
    }
    assert httpx.get(f"{url}/health", trust_env=False, timeout=PATIENCE_S).is_success
    with Client(url, Issuer(tmp_path / "data", Settings()).issue("ann", "admin")) as client:
        until(lambda: is_online("demo-headset", client), demo)
    demo.send_signal(signal.SIGTERM)
    printed, _ = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 0
    assert {"attenuation_db", "snapshots", "filters"} <= json.loads(printed).keys()


def test_the_login_link_is_printed_on_one_line_and_not_logged(begin: Start, tmp_path: Path) -> None:
    port = free_port()
    demo = begin("up", "--demo", "--port", str(port), "--data", "data")
    assert demo.stdout is not None
    assert demo.stdout.readline() == f"Platform running:   http://127.0.0.1:{port}  MQTT port {port + 1}\n"
    assert demo.stdout.readline() == f"Data folder:        {tmp_path / 'data'}\n"
    url, code = link_in(demo.stdout)
    assert f"anc console --port {port} --data {tmp_path / 'data'}" in demo.stdout.readline()
    assert sign_in(url, code) == 200
    assert code not in (tmp_path / "data" / "platform.log").read_text()


def test_a_used_login_link_is_replaced_even_on_a_narrow_terminal(
    begin: Start,
) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, NARROW, 0, 0))
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "CI")}
    port = str(free_port())
    demo = begin(
        "up", "--demo", "--port", port, "--data", "data",
        stdin=theirs, stdout=theirs, stderr=theirs, env={**environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(theirs)
    with open(ours, newline="", errors="replace") as screen:
        url, code = link_in(screen)
        assert sign_in(url, code) == 200
        _, another = link_in(screen)
        assert another != code
        assert sign_in(url, another) == 200
        demo.send_signal(signal.SIGINT)
        for line in screen:
            if "Detected noise" in line:
                break
        else:
            pytest.fail("no result was printed")
        assert demo.wait(PATIENCE_S) == 0


def test_files_are_private_regardless_of_the_umask(begin: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(0o755)
    before = os.umask(0)
    try:
        demo = begin("up", "--demo", "--json", "--port", str(free_port()), "--data", "data")
    finally:
        os.umask(before)
    assert demo.stdout is not None
    url = json.loads(demo.stdout.readline())["url"]
    with Client(url, Issuer(data, Settings()).issue("ann", "admin")) as client:
        (link,) = client.create_upload(NewUpload(size=4, name="a.wav")).links
        assert httpx.put(link, content=b"RIFF", trust_env=False, timeout=PATIENCE_S).is_success
    until((data / "headsets" / "demo-headset" / "credentials.json").exists, demo)
    assert {"anc.db", "anc.db-wal", "anc.db-shm", "platform.log"} <= {path.name for path in data.iterdir()}
    open_to_others = {
        str(path.relative_to(tmp_path)): oct(path.lstat().st_mode)
        for path in (data, *data.rglob("*"))
        if stat.S_IMODE(path.lstat().st_mode) & 0o077
    }
    assert open_to_others == {}


def test_a_headset_follows_a_changed_port_and_registers_again_after_deletion(
    shared_platform: Platform, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{shared_platform.port}"
    token = Issuer(shared_platform.data, Settings()).issue("ann", "operator")
    first = register(url, token, "moves", AcousticPlant(), tmp_path)
    kept = tmp_path / "credentials.json"
    kept.write_text(json.dumps({**first._asdict(), "port": 1}))
    assert register(url, token, "moves", AcousticPlant(), tmp_path) == first
    with Client(url, token) as client:
        client.remove_device("moves")
    assert register(url, token, "moves", AcousticPlant(), tmp_path).certificate != first.certificate


def test_a_platform_ends_with_its_parent_process(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from local.process import free_port, platform\n"
        "with platform(free_port(), Path(sys.argv[1])) as running:\n"
        "    print(running.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    starter = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=PATIENCE_S, check=False)
    assert starter.returncode == -signal.SIGKILL
    assert int(starter.stdout) > 0
    with (tmp_path / "data" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # returns when the platform has released it


def test_make_run_passes_port_and_folder() -> None:
    if not shutil.which("make"):
        pytest.skip("no make on this machine")
    command = ["make", "-n", "run", "PORT=1234", "DATA=a folder"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 'anc up --demo --port 1234 --data "a folder"\n' in shown
