"""The headset kit in C agrees with the test vectors, and the platform reads the snapshots that it writes."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from anc.dsp import Statistics, design_from_statistics
from anc.noise import Classifier
from anc.schemas.snapshot import Snapshot
from tools.vectors.__main__ import ROOT, VERSION

KIT = Path(__file__).parents[3] / "iot" / "c"
VECTORS = ROOT / str(VERSION)
SANITIZED = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
MAX_LINES = 400

pytestmark = pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("make")), reason="this machine has no C compiler"
)


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """Build with warnings as errors and sanitizers, check the vectors; return the snapshots written."""
    build = tmp_path_factory.mktemp("kit")
    command = ["make", "-s", "-j2", "-C", str(KIT), "check", f"BUILD={build}", f"VECTORS={VECTORS}"]
    done = subprocess.run([*command, f"CFLAGS={SANITIZED}"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: (build / f"{name}.bin").read_bytes() for name in ("pcm", "private")}


def test_the_kit_agrees_with_the_vectors(checked: Mapping[str, bytes]) -> None:
    assert len(checked["private"]) < len(checked["pcm"]) / 10


def test_the_platform_reads_its_snapshot_of_sound(checked: Mapping[str, bytes]) -> None:
    snapshot = Snapshot.parse(checked["pcm"])
    assert (snapshot.seq, snapshot.rate, snapshot.filter_id, snapshot.gain) == (1, 16_000, "", 0.0)
    assert snapshot.pcm is not None
    assert snapshot.pcm.astype("<i2").tobytes() == (VECTORS / "signal.s16").read_bytes()


def test_the_platform_designs_a_filter_from_its_private_snapshot(checked: Mapping[str, bytes]) -> None:
    snapshot = Snapshot.parse(checked["private"])
    assert snapshot.samples == 16_000
    design = design_from_statistics([Statistics.from_bytes(snapshot.statistics)])
    expected = np.fromfile(VECTORS / "design.f32", "<f4")
    assert np.linalg.norm(design.taps - expected) <= 0.01 * np.linalg.norm(expected)
    assert Classifier.load().classify_summary(snapshot.summary).level_dbfs == pytest.approx(-22.9, abs=0.1)


def test_the_kit_allocates_nothing_and_its_files_are_short() -> None:
    sources = [file for file in KIT.rglob("*.[ch]") if "build" not in file.parts]
    for file in sources:
        text = file.read_text()
        assert len(text.splitlines()) <= MAX_LINES, file
        if file.parent.name == "src":
            assert not any(f"{name}(" in text for name in ("malloc", "calloc", "realloc", "free")), file
    assert len(sources) > 10
