"""The documentation is correct: its commands and examples run, its messages parse, its links and files exist.

Commands in `sh` fences run here, as do commands in sentences and tables, with a file in place of FILE.
`sh training` marks commands that need recordings, `sh account` those that need an AWS account.
`TESTED_ELSEWHERE` lists commands that do not run here, and why; their options, targets and files are checked.
"""

import json
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

from anc.schemas import asyncapi, claim, job, path, shadow, telemetry, websocket
from local.process import free_port
from tests.processes import ANC, PATIENCE_S, UP, Platform
from tools.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([a-z]*)[ \t]*([a-z]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUN_TEST = "test_documented_command_runs"
MAX_PARALLEL = 3
INLINE = re.compile(r"`((?:anc|make|curl|pytest|python -m|\.venv/bin/[^`\s]+) [^`]+)`")
FILE = re.compile(r"`((?!build/)(?:[\w.-]+/)+[\w-]+\.(?:py|md|toml|json|npz))`")
INDENTED = re.compile(r"^    ((?:anc|make|pytest|\.venv/bin/\S+) .*)$", re.MULTILINE)
TESTED_ELSEWHERE = {  # by the start of the command; the reason
    "make": "CI's script and tests/browser/test_newcomer.py run the targets",
    "pytest": "the suite runs the files that it names",
    "python -m": "needs the training or benchmark environment, or minutes on an idle machine",
    "anc train": "needs recordings and the training environment; see tests/unit/training",
    "anc evaluate": "needs recordings or minutes; tests/unit/tools/evaluation runs the quick version",
    "anc bench": "needs the benchmark environment; tests/unit/dsp tests the filters",
    "anc devices": "needs a fleet; tests/integration/test_lists.py lists, tags and removes headsets",
    "anc emergencies": "needs a platform; tests/integration/test_lists.py lists them",
    "anc jobs": "needs a platform; tests/integration/test_lists.py lists them",
    "anc users": "needs a platform; tests/integration/test_lists.py lists them",
    "anc rollouts": "needs a fleet; tests/integration/test_lists.py creates one",
    "anc scale": "simulates whole cells; tests/unit/tools/test_scale.py simulates one storm",
    "anc fleet": "takes five minutes; tests/integration/test_fleet_load.py runs a smaller fleet",
    "anc smoke": "needs emergency detection; tests/integration/test_smoke.py runs it",
    "anc headset --": "needs a remote platform; see tests/unit/tools/test_remote_headset.py",
    "anc claim": "needs a remote platform; tests/integration/mqtt tests claims",
    "anc rename": "needs a headset; tests/integration/test_client.py renames one",
    "anc up --host": "listens on a network; tests/integration/test_network.py does on loopback",
    "anc redrive": "needs dead letters; see tests/contract/test_dead_letters.py",
    "anc logs": "needs a platform, or AWS; see tests/unit/tools/test_logs.py",
    "OTEL_EXPORTER_OTLP_ENDPOINT=": "needs a collector; tests/unit/local/test_tracing.py has one",
    "anc keys rotate": "invalidates the tokens of other tests; see tests/integration/test_signing_keys.py",
    "anc --install-completion": "changes the shell configuration; see tests/unit/tools/test_cli.py",
    "sudo": "changes the system; see tests/unit/tools/test_service.py",
    "pipx": "needs a network; tests/integration/test_package.py installs both packages offline",
    "python3 -m": "needs a network; tests/integration/test_package.py builds and installs both packages",
    "~/anc/bin": "as the same commands without a path",
    "anc up --demo": "runs until it is interrupted; tests/browser/test_newcomer.py does through make",
    "anc service install": "writes to the system; see tests/unit/tools/test_service.py",
    "anc restore": "needs a backup; tests/integration/test_backup.py restores one",
    "anc backup": "needs a platform; tests/integration/test_backup.py makes one",
    "podman": "needs images; tests/unit/test_container.py checks image, compose file and manifests",
    "kubectl": "needs a cluster; tests/unit/test_container.py checks the manifests",
    "uv tool": "needs a network; tests/integration/test_package.py installs both packages offline",
    "openssl": "makes a password",
    "chmod": "changes a file that an earlier command made",
    "TOKEN=": "needs a container",
    "curl -s http://127.0.0.1:8080/api/users/me/keys": "needs a container",
    "curl -s -X POST http://127.0.0.1:8080/api/users/me/keys": "tests/integration/test_prometheus.py does",
    "prometheus": "runs until it is interrupted; tests/integration/test_prometheus.py runs it",
    "pip": "needs a network; tests/integration/test_package.py installs both packages offline",
    "aws": "needs an AWS account",
    "export": "calls AWS",
    "read": "asks for a password",
    "jq": "reads what AWS answered",
    "python -c": "needs an AWS account",
    "anc cost --measure": "simulates hours; tests/unit/tools/test_cost.py measures a shorter day",
    "anc cost --write": "replaces a page; tests/unit/tools/test_cost.py compares it",
    "python -m tools.settings_page": "replaces a page; tests/unit/local/test_configuration.py compares it",
}
PLACEHOLDERS = {  # in sentences and tables
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
    "signed": claim.Signed,
    "provision": claim.Registration,
    "provisioned": claim.Provisioned,
    "claimrejected": claim.Rejected,
    "document": asyncapi.ShadowDocument,
    "delta": asyncapi.ShadowDelta,
    "update": asyncapi.ShadowUpdateMessage,
    "rejection": asyncapi.ShadowRejected,
    "notification": job.NextJob,
    "startnext": asyncapi.StartNextResponse,
    "jobupdate": job.ExecutionUpdate,
    "client": websocket.AnyRequest,
    "server": FRAMES,
}


def fences(language: str) -> Iterator[tuple[Path, str, str]]:
    """Yield page, requirement and content of each fence in a language."""
    for page in PAGES:
        for found, needs, text in FENCE.findall(page.read_text()):
            if found == language:
                yield page, needs, text


def command_lines() -> Iterator[str]:
    """Yield every command line on the pages, with continuation lines joined."""
    for _, _, text in fences("sh"):
        yield from text.replace("\\\n", " ").splitlines()
    for page in PAGES:
        text = FENCE.sub("", page.read_text())
        for command in [*INDENTED.findall(text), *INLINE.findall(text)]:
            runs_here = not runs_elsewhere(command.removeprefix(".venv/bin/"))
            yield " ".join((fill_in(command) if runs_here else command).split())


def fill_in(command: str) -> str:
    """Replace the placeholders of a command."""
    for name, value in PLACEHOLDERS.items():
        command = command.replace(name, value)
    return command


def commands() -> list[str]:
    """Return every distinct command on the pages, without comments."""
    lines = {line.split("  #")[0].strip().removeprefix(".venv/bin/") for line in command_lines()}
    return sorted(line for line in lines if line and line[0] != "#")


def runs_elsewhere(command: str) -> bool:
    """Return whether a command does not run here."""
    return command.startswith(tuple(TESTED_ELSEWHERE))


def create_files(folder: Path) -> None:
    """Create the files that the commands read."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    x = 0.1 * rng.standard_normal(8 * 16_000)
    d = np.convolve(x, [0.0, 0.5, 0.3])[: x.size]
    soundfile.write(folder / "noise.wav", x, 16_000)
    soundfile.write(folder / "in.wav", np.stack([x, d], axis=1), 16_000)


def run(command: str, folder: Path, platform: Platform) -> tuple[int, str]:
    """Run a command on the port of `platform`; return its exit code and output."""
    create_files(folder)
    where = f"--port {platform.port} --data {platform.data}"
    if command.startswith("anc up"):
        command = f"{re.sub(r' --(port|data) [^ ]+', '', command)} --port {free_port()} --data data"
    elif command.startswith("anc headset"):
        command += f" --seconds 5 {where}"
    elif command.startswith("anc demo"):
        command += " --seconds 5"
    elif command.startswith("anc console"):
        command += f" {where}"
    elif command.startswith("anc token"):
        command += f" --data {platform.data}"
    token = platform.token("reader")
    running = subprocess.Popen(
        ["bash", "-c", f"exec {command.replace('127.0.0.1:8080', f'127.0.0.1:{platform.port}')}"],
        cwd=folder,
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
    try:
        if command.startswith("anc up"):
            first = running.stdout.readline()
            running.terminate()
            assert first.startswith(UP), first
        printed, _ = running.communicate(timeout=PATIENCE_S)
    finally:
        running.kill()
    return running.returncode, printed


@pytest.fixture(scope="module")
def started_commands(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_platform: Platform
) -> Iterator[dict[str, Future[tuple[int, str]]]]:
    """Start all selected commands, a few in parallel: most of them wait for audio in real time."""
    selected = {item.name for item in request.session.items}
    lines = [line for line in commands() if f"{RUN_TEST}[{line}]" in selected]
    shared_platform.token("reader")
    with ThreadPoolExecutor(MAX_PARALLEL) as pool:
        folder = tmp_path_factory.mktemp("commands")
        yield {line: pool.submit(run, line, folder / str(k), shared_platform) for k, line in enumerate(lines)}


@pytest.mark.thorough
@pytest.mark.parametrize("command", [line for line in commands() if not runs_elsewhere(line)], ids=str)
def test_documented_command_runs(command: str, started_commands: dict[str, Future[tuple[int, str]]]) -> None:
    if command.startswith("curl") and not shutil.which("curl"):
        pytest.skip("no curl on this machine")
    exit_code, printed = started_commands[command].result()
    assert exit_code == (-signal.SIGTERM if command.startswith("anc up") else 0), printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("command", [line for line in commands() if runs_elsewhere(line)])
def test_options_targets_and_files_of_other_documented_commands_exist(command: str) -> None:
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
    elif program == "python" and words[0] == "-m":
        module = ROOT / words[1].replace(".", "/")
        assert module.with_suffix(".py").exists() or (module / "__main__.py").exists()


def test_no_command_is_in_an_untested_fence() -> None:
    for page, _, text in [*fences(""), *fences("text"), *fences("bash"), *fences("console")]:
        assert not re.search(r"^(\$ |anc |make |curl |aws )", text, re.MULTILINE), page.name


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub generates them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_target_exists() -> None:
    for page in [*PAGES, ROOT / "docs" / "decisions" / "README.md"]:
        for link, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
            target = page.parent / link if link else page
            assert target.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in anchors(target), f"{page.name}: {link}#{anchor}"


def test_every_file_that_a_page_names_exists() -> None:
    for page in [*PAGES, ROOT / "docs" / "decisions" / "README.md"]:
        for name in FILE.findall(page.read_text()):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_the_folders_in_the_readme_are_those_of_the_repository() -> None:
    rows = re.findall(r"^\| `([\w/]+)/` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    listing = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True)
    folders = {str(parent) for name in listing.splitlines() for parent in Path(name).parents}
    for parent in (".", "local", "tools", "layers/dsp/python/anc"):
        documented = {name for name in rows if str(Path(name).parent) == parent}
        existing = {name for name in folders if str(Path(name).parent) == parent and name != "."}
        assert documented == {name for name in existing if not name.startswith(".")}, parent
    assert set(rows) <= folders


@pytest.mark.parametrize(("name", "text"), [(needs, text) for _, needs, text in fences("json") if needs])
def test_documented_message_is_valid(name: str, text: str) -> None:
    for message in text.splitlines() if name in ("client", "server") else [text]:
        parsed = msgspec.json.decode(message, type=MESSAGES[name])
        if isinstance(parsed, shadow.Desired) and parsed.filter:
            assert parsed.filter.decode().shape == (2,)


def test_the_quick_start_runs_completely(shared_platform: Platform) -> None:
    examples = [text for page, _, text in fences("python") if page.name == "quickstart.md"]
    assert len(examples) == 5
    url = f"http://127.0.0.1:{shared_platform.port}"
    exec("\n".join(examples), {"url": url, "token": shared_platform.token("firmware")})


def test_documented_javascript_is_tested_in_a_browser() -> None:
    assert [page.name for page, _, _ in fences("js")] == ["quickstart.md"]  # tests/browser/test_live.py


def test_documented_typescript_calls_endpoints_that_exist() -> None:
    paths = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
    calls = [call for _, _, text in fences("ts") for call in re.findall(r"\.(GET|POST)\(\"([^\"]+)", text)]
    assert calls
    assert [call for call in calls if call[0].lower() not in paths[call[1]]] == []


def test_documented_python_is_tested() -> None:
    run = {"quickstart.md", "api.md"}
    assert {page.name for page, _, _ in fences("python")} == run
    assert sys.version_info >= (3, 11)
