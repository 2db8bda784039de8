"""The headset kit in C agrees with the test vectors, and its headset gets a filter from `anc up`."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anc.dsp import Statistics, design_from_statistics
from anc.noise import Classifier
from anc.schemas.snapshot import Snapshot
from tests.processes import PATIENCE_S, Platform
from tools.vectors import dsp
from tools.vectors.__main__ import ROOT, VERSION

KIT = Path(__file__).parents[2] / "iot" / "c"
VECTORS = ROOT / str(VERSION)
SANITIZED = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
NEEDED = ("make", "openssl")
# Used without a compiler on the machine. It lacks a library of sanitizers.
ZIG = f"{sys.executable} -m ziglang"
COMPILER = [] if shutil.which("cc") else [f"CC={ZIG} cc", f"AR={ZIG} ar"]
USER = "firmware"
MAX_LINES = 400

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, NEEDED)), reason=f"this machine does not have all of {', '.join(NEEDED)}"
)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the kit with warnings as errors and sanitizers, and compare it with the vectors."""
    folder = tmp_path_factory.mktemp("kit")
    command = ["make", "-s", "-j2", "-C", str(KIT), "all", "check", f"BUILD={folder}", f"VECTORS={VECTORS}"]
    flags = [] if COMPILER else [f"CFLAGS={SANITIZED}"]
    done = subprocess.run([*command, *flags, *COMPILER], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_platform_reads_its_snapshot_of_sound(build: Path) -> None:
    snapshot = Snapshot.parse((build / "pcm.bin").read_bytes())
    assert (snapshot.seq, snapshot.rate, snapshot.filter_id, snapshot.gain) == (1, 16_000, "", 0.0)
    assert snapshot.pcm is not None
    assert snapshot.pcm.astype("<i2").tobytes() == (VECTORS / "signal.s16").read_bytes()


def test_the_platform_designs_a_filter_from_its_private_snapshot(build: Path) -> None:
    snapshot = Snapshot.parse((build / "private.bin").read_bytes())
    assert snapshot.samples == 16_000
    design = design_from_statistics([Statistics.from_bytes(snapshot.statistics)])
    expected = np.fromfile(VECTORS / "design.f32", "<f4")
    assert np.linalg.norm(design.taps - expected) <= 0.01 * np.linalg.norm(expected)
    assert Classifier.load().classify_summary(snapshot.summary).level_dbfs == pytest.approx(-22.9, abs=0.1)


def test_the_kit_allocates_nothing_and_its_files_are_short() -> None:
    sources = [file for file in KIT.rglob("*.[ch]") if "build" not in file.parts]
    assert len(sources) > 10
    for file in sources:
        text = file.read_text()
        assert len(text.splitlines()) <= MAX_LINES, file
        if file.parent.name == "src":
            assert not any(f"{name}(" in text for name in ("malloc", "calloc", "realloc", "free")), file


@pytest.mark.parametrize(("column", "limits"), [(1, ""), (2, "-DANC_MAX_RATE=48000 -DANC_MAX_TAPS=1024")])
def test_the_documented_sizes_are_those_of_the_structs(column: int, limits: str, tmp_path: Path) -> None:
    command = ["make", "-s", "-C", str(KIT), "sizes", f"BUILD={tmp_path}", f"CFLAGS={limits}", *COMPILER]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line.strip("| ").split(" | ") for line in (KIT / "README.md").read_text().splitlines()]
    for line in printed.splitlines():
        name, size = re.split(r"  +", line)
        (row,) = [row for row in rows if len(row) == 3 and row[0].startswith((f"`{name}`", name))]
        assert row[column].strip(" |") == f"{int(size):,}", name


@pytest.fixture
def run(shared_platform: Platform, build: Path, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Return `run(thing, config)`, which registers a headset, runs it, and returns what it printed.

    `run(thing)` runs it again.
    """
    file = tmp_path / "registration.json"

    def register(thing: str, config: dict[str, Any]) -> None:
        secondary = np.fromfile(VECTORS / "secondary.f32", "<f4").tolist()
        body = {"thing": thing, "rate": dsp.RATE, "taps": dsp.TAPS, "secondary": secondary}
        status, registration = shared_platform.request("POST", "/api/devices", body, USER)
        assert status == 201, registration
        shadow = f"/api/devices/{thing}/shadow"
        assert shared_platform.request("PATCH", shadow, {"config": config}, USER)[0] == 200
        file.write_text(json.dumps(registration))

    def start(thing: str, config: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        if config is not None:
            register(thing, config)
        inputs = [str(VECTORS / name) for name in ("signal.s16", "secondary.f32")]
        process = subprocess.Popen(
            [str(build / "headset"), str(file), str(tmp_path), *inputs, "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            printed, errors = process.communicate(timeout=PATIENCE_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with its TLS process
        assert process.returncode == 0, printed + errors
        return [json.loads(line) for line in printed.splitlines()]

    return start


@pytest.mark.parametrize(("kind", "private", "most_bytes"), [(1, False, 64_032), (2, True, 5_000)])
def test_a_headset_in_c_gets_a_filter(
    kind: int,
    private: bool,
    most_bytes: int,
    run: Callable[..., list[dict[str, Any]]],
    shared_platform: Platform,
) -> None:
    thing = f"c-kind-{kind}"
    events = run(thing, {"private": private})
    snapshots = [event for event in events if event["event"] == "snapshot"]
    assert {snapshot["kind"] for snapshot in snapshots} == {kind}
    assert max(snapshot["bytes"] for snapshot in snapshots) <= most_bytes
    assert events[-1]["attenuation_db"] > 20
    _, device = shared_platform.request("GET", f"/api/devices/{thing}", None, USER)
    assert not device["refused"], device
    state = shared_platform.request("GET", f"/api/devices/{thing}/shadow", None, USER)[1]["state"]
    filters = {event["id"] for event in events if event["event"] == "filter"}
    assert state["reported"]["active_filter"] in filters
    assert state["reported"]["attenuation_db"] > 20
    assert state["reported"].items() >= state["desired"].items()  # so that the delta is empty


def test_a_headset_in_c_that_lost_its_memory_continues_well_above_the_reported_number(
    run: Callable[..., list[dict[str, Any]]], shared_platform: Platform, tmp_path: Path
) -> None:
    run("c-lost", {})
    _, shadow = shared_platform.request("GET", "/api/devices/c-lost/shadow", None, USER)
    (tmp_path / "sequence").unlink()
    numbers = [event["seq"] for event in run("c-lost") if event["event"] == "snapshot"]
    assert numbers[0] == shadow["state"]["reported"]["seq"] + 1001
