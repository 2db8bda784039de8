"""What the pages show is run: commands in a shell, Python as it stands, messages through their types.

A fence says what it needs: `sh` alone runs here; `sh training` needs recordings and what training takes,
`sh account` an account at AWS. What stands within a sentence or a table runs as well, with a file for FILE.
`ELSEWHERE` lists what does not run here, and why; of those it is seen that options, targets and files exist.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from anc.schemas import claim, path, shadow, telemetry, websocket
from tests.processes import ANC, PATIENCE_S, UP, Platform, free_port
from tools.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([a-z]*)[ \t]*([a-z]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUNS = "test_a_command_that_the_pages_show_runs"
AT_ONCE = 3
INLINE = re.compile(r"`((?:anc|make|curl|pytest|python -m|\.venv/bin/[^`\s]+) [^`]+)`")
FILE = re.compile(r"`((?!build/)(?:[\w.-]+/)+[\w-]+\.(?:py|md|toml|json|npz))`")
INDENTED = re.compile(r"^    ((?:anc|make|pytest|\.venv/bin/\S+) .*)$", re.MULTILINE)
ELSEWHERE = {  # what a page shows and this file does not run, by how it begins, and why
    "make": "CI's script and tests/browser/test_newcomer.py run the targets",
    "pytest": "the suite runs the files that it names",
    "python -m": "needs what is installed for training or benchmarks, or minutes of a quiet machine",
    "anc train": "needs recordings and what training takes; tests/unit/training trains on synthetic sounds",
    "anc evaluate": "needs recordings or minutes; tests/unit/local/evaluation runs the quick one",
    "anc bench": "needs everyone else's filters; tests/unit/dsp holds ours to the reference",
    "anc fleet": "takes five minutes; tests/integration/test_fleet_load.py runs a smaller one",
    "anc smoke": "hears a siren, which the platform here does not; tests/integration/test_smoke.py walks",
    "anc headset --": "tests/unit/tools/test_remote_headset.py has them",
    "anc claim": "writes what the next line takes to another platform; tests/integration/mqtt claims",
    "anc keys rotate": "ends other tests' tokens; tests/integration/test_signing_keys.py rotates",
    "anc --install-completion": "changes what the shell reads; tests/unit/tools/test_cli.py completes",
    "pip": "needs a network; tests/integration/test_package.py builds and installs both packages without",
    "aws": "needs an account",
    "export": "asks the account",
}
STANDS_FOR = {  # in a sentence or a table
    "RECORDING": "noise.wav",
    "helicopter.ogg": "noise.wav",
    "demo.svg": "course.svg",
    "FILE...": "noise.wav",
    "FILE.svg": "course.svg",
    "FILE": "noise.wav",
    "IN.wav": "in.wav",
    "OUT.wav": "out.wav",
    "PAGE.html": "page.html",
    "--seconds N": "--seconds 5",
    "--seconds 15": "--seconds 5",
    "--seconds 20": "--seconds 5",
    "--port N": "--port 8080",
    "DIR": "data",
    "URL": "http://127.0.0.1:8080",
}
FRAMES = (
    websocket.Started
    | websocket.FilteredBlock
    | websocket.SetDone
    | websocket.Stopped
    | websocket.Watching
    | websocket.DeviceUpdate
    | websocket.JobUpdate
    | websocket.Pong
    | websocket.Error
)
MESSAGES = {
    "desired": shadow.Desired,
    "reported": shadow.Reported,
    "telemetry": telemetry.TelemetryReport,
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


def shown() -> Iterator[str]:
    """Yield every command that the pages show, continued lines joined, as it stands there."""
    for _, _, text in fences("sh"):
        yield from text.replace("\\\n", " ").splitlines()
    for page in PAGES:
        text = FENCE.sub("", page.read_text())
        for command in [*INDENTED.findall(text), *INLINE.findall(text)]:
            told = command if tried_elsewhere(command.removeprefix(".venv/bin/")) else meant(command)
            yield " ".join(told.split())


def meant(command: str) -> str:
    """Return a command with a file for FILE and a number for N."""
    for name, stands_for in STANDS_FOR.items():
        command = command.replace(name, stands_for)
    return command


def commands() -> list[str]:
    """Return every command that the pages show, each once, without what is said of it."""
    lines = {line.split("  #")[0].strip().removeprefix(".venv/bin/") for line in shown()}
    return sorted(line for line in lines if line and line[0] != "#")


def tried_elsewhere(command: str) -> bool:
    """Return whether something else than this file runs a command."""
    return command.startswith(tuple(ELSEWHERE))


def lay_out(desk: Path) -> None:
    """Put into a folder the files that the pages speak of."""
    desk.mkdir()
    rng = np.random.default_rng(7)
    x = 0.1 * rng.standard_normal(8 * 16_000)
    d = np.convolve(x, [0.0, 0.5, 0.3])[: x.size]
    soundfile.write(desk / "noise.wav", x, 16_000)
    soundfile.write(desk / "in.wav", np.stack([x, d], axis=1), 16_000)


def run(command: str, desk: Path, platform: Platform) -> tuple[int, str]:
    """Run a command as it stands on a page, but for the port; returns how it ended and what it printed."""
    lay_out(desk)
    where = f"--port {platform.port} --data {platform.data}"
    if command.startswith("anc up"):
        command = f"{re.sub(r' --(port|data) [^ ]+', '', command)} --port {free_port()} --data data"
    elif command.startswith("anc headset"):
        command += f" --seconds 5 {where}"
    elif command.startswith("anc console"):
        command += f" {where}"
    elif command.startswith("anc token"):
        command += f" --data {platform.data}"
    token = platform.token("reader")
    running = subprocess.Popen(
        ["bash", "-c", f"exec {command.replace('127.0.0.1:8080', f'127.0.0.1:{platform.port}')}"],
        cwd=desk,
        env=os.environ
        | {
            "PATH": f"{Path(ANC).parent}:{os.environ['PATH']}",
            "URL": f"http://127.0.0.1:{platform.port}",
            "TOKEN": token,
            "ANC_TOKEN": token if command.startswith("anc doctor") else "",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert running.stdout is not None
    if command.startswith("anc up"):
        assert running.stdout.readline().startswith(UP)
        running.terminate()
    try:
        printed, _ = running.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        running.kill()
        raise
    return running.returncode, printed


@pytest.fixture(scope="module")
def begun(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_platform: Platform
) -> Iterator[dict[str, Future[tuple[int, str]]]]:
    """Begin all commands that are to be tried, some at once: most wait for sound that takes its time."""
    wanted = {item.name for item in request.session.items}
    chosen = [line for line in commands() if f"{RUNS}[{line}]" in wanted]
    shared_platform.token("reader")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        desk = tmp_path_factory.mktemp("desks")
        yield {line: pool.submit(run, line, desk / str(k), shared_platform) for k, line in enumerate(chosen)}


@pytest.mark.parametrize("command", [line for line in commands() if not tried_elsewhere(line)], ids=str)
def test_a_command_that_the_pages_show_runs(command: str, begun: dict[str, Future[tuple[int, str]]]) -> None:
    if command.startswith("curl") and not shutil.which("curl"):
        pytest.skip("no curl on this machine")
    ended, printed = begun[command].result()
    assert ended == (-signal.SIGTERM if command.startswith("anc up") else 0), printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("command", [line for line in commands() if tried_elsewhere(line)])
def test_a_command_that_is_tried_elsewhere_names_what_exists(command: str) -> None:
    program, *words = shlex.split(command.partition(" > ")[0])
    options = [word for word in words if word.startswith("--")]
    if program == "anc":
        command = list(takewhile(lambda word: not word.startswith("-"), words[:2]))
        answer = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
        assert answer.exit_code == 0
        assert all(option in answer.output for option in options)
    elif program == "make":
        made = re.findall(r"^([.\w/%-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert re.sub(r"/\w+\.stamp", "/%.stamp", words[0]) in made
    elif program == "pip":
        assert words[0] == "install"
        assert all((ROOT / word / "pyproject.toml").exists() for word in words[1:])
    elif program == "pytest":
        assert all((ROOT / word).exists() for word in words if not word.startswith("-"))
    elif program == "python":
        module = ROOT / words[1].replace(".", "/")
        assert module.with_suffix(".py").exists() or (module / "__main__.py").exists()


def test_no_command_hides_in_a_block_that_no_test_reads() -> None:
    for page, _, text in [*fences(""), *fences("text"), *fences("bash"), *fences("console")]:
        assert not re.search(r"^(\$ |anc |make |curl |aws )", text, re.MULTILINE), page.name


def anchors(page: Path) -> set[str]:
    """Return where in a page a link may lead, as GitHub calls it."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_that_a_page_links_to_is_there() -> None:
    for page in [*PAGES, ROOT / "docs" / "decisions" / "README.md"]:
        for link, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
            led_to = page.parent / link if link else page
            assert led_to.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in anchors(led_to), f"{page.name}: {link}#{anchor}"


def test_every_file_of_the_project_that_a_page_names_is_there() -> None:
    for page in [*PAGES, ROOT / "docs" / "decisions" / "README.md"]:
        for name in FILE.findall(page.read_text()):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


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


def test_javascript_on_a_page_is_run_by_a_browser() -> None:
    assert [page.name for page, _, _ in fences("js")] == ["quickstart.md"]  # tests/browser/test_live.py


def test_python_on_a_page_is_run_by_some_test() -> None:
    run = {"quickstart.md", "api.md"}
    assert {page.name for page, _, _ in fences("python")} == run
    assert sys.version_info >= (3, 11)
