"""The test vectors in `docs/vectors` are those of the code, and the vectors of every version are readable."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anc.dsp import Statistics, design_from_statistics
from anc.pcm import bytes_to_int16, int16_to_float
from anc.schemas.asyncapi import TOPICS
from anc.schemas.refusal import Refused
from anc.schemas.shadow import FilterDocument
from tools.vectors import dsp, messages, states
from tools.vectors.__main__ import ROOT, VERSION

CURRENT = ROOT / str(VERSION)
VERSIONS = sorted(int(folder.name) for folder in ROOT.iterdir() if folder.is_dir())
# SHA-256 over the names and bytes of all files of a version. A released version never changes: if a message
# or a result has to, raise VERSION in `tools/vectors/__main__.py`, run `python -m tools.vectors`, add a line.
RELEASED = {1: "7eae6e1ffc48e4696387acabb08427f31c240e9df52e3ef785b2bc5b0d516299"}


def digest(folder: Path) -> str:
    total = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        total.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def vectors(version: int, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((ROOT / str(version) / name).read_text())
    return found


def floats(name: str) -> np.ndarray:
    return np.frombuffer((CURRENT / name).read_bytes(), "<f4")


@pytest.fixture(scope="module")
def regenerated() -> dict[str, bytes]:
    return dsp.files()


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CURRENT / "dsp.json").read_text())
    return found


def test_no_file_of_a_released_version_has_changed() -> None:
    assert {version: digest(ROOT / str(version)) for version in VERSIONS} == RELEASED


def test_the_messages_are_those_that_the_command_writes() -> None:
    assert (CURRENT / "messages.json").read_bytes() == messages.document(), "python -m tools.vectors"


def test_every_message_of_a_headset_has_a_vector() -> None:
    described = {topic.name for topic in TOPICS} | {"snapshot", "filter"}
    assert {vector["message"] for vector in vectors(VERSION, "messages.json")} == described


def contains(got: Any, expected: Any) -> bool:
    """Return whether a decoded message has all that is expected; later versions may add fields."""
    if isinstance(expected, dict):
        return all(name in got and contains(got[name], value) for name, value in expected.items())
    return bool(got == expected)


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_of_every_version_are_decoded_or_refused_as_they_were(version: int) -> None:
    for vector in vectors(version, "messages.json"):
        payload = bytes.fromhex(vector["hex"]) if "hex" in vector else vector["text"].encode()
        decode = messages.DECODERS[vector["message"]]
        if "refused" in vector:
            with pytest.raises(Refused) as refusal:
                decode(payload)
            assert refusal.value.code == vector["refused"], vector["name"]
        else:
            assert contains(decode(payload), vector["decoded"]), vector["name"]


@pytest.mark.parametrize("version", VERSIONS)
def test_stored_states_of_every_version_continue_as_they_did(version: int) -> None:
    for vector in vectors(version, "states.json"):
        output = states.output(vector["kind"], bytes.fromhex(vector["hex"]))
        assert output == pytest.approx(vector["output"], abs=1e-6), vector["kind"]


def test_the_stored_states_are_those_that_the_command_writes() -> None:
    written, now = vectors(VERSION, "states.json"), json.loads(states.document())
    assert [(each["kind"], len(each["hex"])) for each in written] == [
        (each["kind"], len(each["hex"])) for each in now
    ]


def test_the_signals_are_those_that_the_command_writes(regenerated: dict[str, bytes]) -> None:
    assert regenerated.keys() <= {file.name for file in CURRENT.iterdir()}
    for name in ("signal.s16", "secondary.f32"):
        assert (CURRENT / name).read_bytes() == regenerated[name], name


def test_statistics_and_summary_are_within_their_tolerances(
    regenerated: dict[str, bytes], results: dict[str, Any]
) -> None:
    r, p = floats("autocorrelation.f32"), floats("crosscorrelation.f32")
    now = json.loads(regenerated["dsp.json"])
    assert now["onset"] == results["onset"]
    assert now["statistics"] == pytest.approx(results["statistics"], rel=1e-4)
    assert np.frombuffer(regenerated["autocorrelation.f32"], "<f4") == pytest.approx(
        r, abs=1e-4 * float(r[0])
    )
    limit = 1e-4 * float(np.sqrt(r[0] * results["statistics"]["energy"]))
    assert np.frombuffer(regenerated["crosscorrelation.f32"], "<f4") == pytest.approx(p, abs=limit)
    summary = np.frombuffer(read("summary.u8"), np.uint8).astype(int)
    difference = np.frombuffer(regenerated["summary.u8"], np.uint8) - summary
    assert np.abs(difference).max() <= 1
    assert np.mean(difference != 0) <= 0.02


def read(name: str) -> bytes:
    return (CURRENT / name).read_bytes()


def test_the_filter_of_the_statistics_is_within_its_tolerance(results: dict[str, Any]) -> None:
    about = results["statistics"]
    sums = Statistics(
        floats("autocorrelation.f32").astype(float),
        floats("crosscorrelation.f32").astype(float),
        about["energy"],
        about["samples"],
        results["rate"],
    )
    design, expected = design_from_statistics([sums]), floats("design.f32")
    assert np.linalg.norm(design.taps - expected) <= 1e-3 * np.linalg.norm(expected)
    assert design.predicted_gain_db == pytest.approx(results["design"]["gain_db"], abs=0.05)


def test_control_judgement_adaptation_and_schedule_are_within_their_tolerances(
    results: dict[str, Any],
) -> None:
    pcm = bytes_to_int16(read("signal.s16"), 2)
    good, bad = (FilterDocument(**fields) for fields in results["filters"])
    assert good.decode() == pytest.approx(floats("design.f32"), abs=1e-3)
    played, evaluations = dsp.control(pcm, good, bad)
    assert played[::16] == pytest.approx(floats("control.f32"), abs=1e-4)
    expected = results["monitor"]["evaluations"]
    assert [(k, verdict) for k, _, verdict in evaluations] == [(k, verdict) for k, _, verdict in expected]
    assert [db for _, db, _ in evaluations] == pytest.approx([db for _, db, _ in expected], abs=0.1)
    weights = floats("adaptation.f32")
    assert np.linalg.norm(dsp.adapted(pcm, good) - weights) <= 1e-3 * np.linalg.norm(weights)
    sent, scheduled = dsp.schedule(pcm), results["scheduler"]["snapshots"]
    assert [samples for _, samples in sent] == [samples for _, samples in scheduled]
    assert [k for k, _ in sent] == pytest.approx([k for k, _ in scheduled], abs=4)


def test_the_signal_begins_quietly_and_is_audible_then() -> None:
    x = int16_to_float(bytes_to_int16(read("signal.s16"), 2))[:, 0]
    quiet, loud = (10 * np.log10(np.mean(part**2)) for part in (x[: dsp.QUIET], x[dsp.QUIET :]))
    assert quiet < -60 < -30 < loud
