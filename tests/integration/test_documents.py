"""What the pages show is run: commands in a shell, Python as it stands, messages through their types.

A fence says what it needs: `sh` alone runs here; `sh training` needs recordings and what training takes,
`sh account` an account at AWS, and of those only the commands and options that they name are looked for.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from anc.wire import claim, path, shadow, telemetry, websocket
from local.cli import app
from tests.running import ANC, Platform

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([a-z]+)[ \t]*([a-z]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LASTING = ("anc up", "anc headset")  # these run until they are told to end
LASTING_S = 8
FRAMES = (
    websocket.Started
    | websocket.Cleaned
    | websocket.SetDone
    | websocket.Stopped
    | websocket.Watching
    | websocket.DeviceNews
    | websocket.JobNews
    | websocket.Pong
    | websocket.Error
)
MESSAGES = {
    "desired": shadow.Desired,
    "reported": shadow.Reported,
    "telemetry": telemetry.Report,
    "path": path.MeasuredPath,
    "sign": claim.SigningRequest,
    "provision": claim.Registration,
    "client": websocket.AnyRequest,
    "server": FRAMES,
}


def fences(language: str) -> Iterator[tuple[Path, str, str]]:
    """Yield page, what the fence needs, and what is in it."""
    for page in PAGES:
        for found, needs, text in FENCE.findall(page.read_text()):
            if found == language:
                yield page, needs, text


def commands(*needs: str) -> list[str]:
    """Return every command that the pages show, continued lines joined, each once."""
    lines = (
        line.split("  #")[0].strip()
        for _, needed, text in fences("sh")
        if needed in needs
        for line in text.replace("\\\n", " ").splitlines()
    )
    return sorted({line.removeprefix(".venv/bin/") for line in lines if line and line[0] != "#"})


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Give a folder with the files that the pages speak of."""
    rng = np.random.default_rng(7)
    x = 0.1 * rng.standard_normal(8 * 16_000)
    d = np.convolve(x, [0.0, 0.5, 0.3])[: x.size]
    soundfile.write(tmp_path / "noise.wav", x, 16_000)
    soundfile.write(tmp_path / "in.wav", np.stack([x, d], axis=1), 16_000)
    return tmp_path


@pytest.mark.parametrize("command", [line for line in commands("") if line.startswith(("anc ", "curl "))])
def test_a_command_that_the_pages_show_runs(command: str, desk: Path, shared_platform: Platform) -> None:
    if command.startswith("curl") and not shutil.which("curl"):
        pytest.skip("no curl on this machine")
    lasting = command.startswith(LASTING)
    where = command.replace("127.0.0.1:8080", f"127.0.0.1:{shared_platform.port}")
    if lasting:
        where = re.sub(r"--port \d+", f"--port {shared_platform.port + 20}", where)
        where = f"timeout --signal=TERM {LASTING_S} {where}"
    made = subprocess.run(
        ["bash", "-c", where],
        cwd=desk,
        env=os.environ
        | {
            "PATH": f"{Path(ANC).parent}:{os.environ['PATH']}",
            "TOKEN": shared_platform.token("reader"),
            "ANC_TOKEN": shared_platform.token("reader"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert made.returncode in ((0, 124) if lasting else (0,)), made.stderr + made.stdout
    assert "Traceback" not in made.stderr


@pytest.mark.parametrize("command", commands("training", "account"))
def test_a_command_that_needs_more_than_this_machine_has_options_that_exist(command: str) -> None:
    if not command.startswith("anc "):
        pytest.skip("not a command of the platform")
    words = shlex.split(command)[1:]
    answer = CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "200"})
    assert answer.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in answer.output


def test_every_target_that_the_pages_name_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:`|^\s*|&& )make ([a-z-]+)", page.read_text(), re.MULTILINE)
    }
    assert {"run", "test"} <= named <= targets


def test_every_page_that_a_page_links_to_is_there() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize(("name", "text"), [(needs, text) for _, needs, text in fences("json") if needs])
def test_a_message_on_the_pages_is_one_that_the_platform_understands(name: str, text: str) -> None:
    for message in text.splitlines() if name in ("client", "server") else [text]:
        parsed = msgspec.json.decode(message, type=MESSAGES[name])
        if isinstance(parsed, shadow.Desired) and parsed.filter:
            assert parsed.filter.decode().shape == (2,)


def test_the_quick_start_runs_from_the_first_line_to_the_last(shared_platform: Platform) -> None:
    examples = [text for page, _, text in fences("python") if page.name == "quickstart.md"]
    assert len(examples) == 5
    url = f"http://127.0.0.1:{shared_platform.port}"
    exec("\n".join(examples), {"url": url, "token": shared_platform.token("firmware")})


def test_python_on_a_page_is_run_by_some_test() -> None:
    run = {"quickstart.md", "api.md"}
    assert {page.name for page, _, _ in fences("python")} == run
    assert sys.version_info >= (3, 11)
