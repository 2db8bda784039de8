"""A short run of `python -m tests.attacks.sound_files`, always with the same seed."""

import json
from pathlib import Path

import pytest

from anc.audio.formats import FORMATS as READ
from tests.attacks.sound_files import (
    FORMATS,
    MEASURED,
    main,
    mutation,
    outcome_of,
    run,
    samples_of,
)

SEED, MUTATIONS = 1, 60


def test_every_format_that_is_read_is_attacked() -> None:
    assert [each.name.partition(" (Vorbis")[0] for each in READ] == list(FORMATS)


@pytest.mark.parametrize("format", FORMATS)
def test_a_changed_file_is_read_as_far_as_possible_or_refused(format: str) -> None:
    samples = samples_of(format)
    assert {outcome_of(sample, measures=True) for sample in samples} == {"read"}
    for number in range(MUTATIONS):
        outcome_of(mutation(samples, format, SEED, number), number % MEASURED == 0)


def test_a_run_in_a_child_process_has_the_outcomes_of_the_same_files(tmp_path: Path) -> None:
    figures = run("AMR", SEED, 20, tmp_path)
    samples = samples_of("AMR")
    outcomes = [outcome_of(mutation(samples, "AMR", SEED, number)) for number in range(20)]
    assert figures["faults"] == []
    assert {name: figures[name] for name in set(outcomes)} == {
        name: outcomes.count(name) for name in set(outcomes)
    }


def test_one_format_can_be_attacked_and_keeps_the_figures_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = tmp_path / "figures.json"
    known = {"seed": SEED, "mutations": 2, "formats": {"WAV": {"read": 2}, "CAF": {"read": 1}}}
    figures.write_text(json.dumps(known))
    common = ["sound_files", "--only", "AMR", "--seed", str(SEED), "--json", str(figures)]
    monkeypatch.setattr("sys.argv", [*common, "--mutations", "2"])
    assert main() == 0
    found = json.loads(figures.read_text())
    assert [*found["formats"]] == ["WAV", "AMR", "CAF"]
    assert found["formats"]["AMR"]["mutations"] == 2
    assert found["formats"]["WAV"] == known["formats"]["WAV"]
    monkeypatch.setattr("sys.argv", [*common, "--mutations", "1"])
    with pytest.raises(SystemExit):
        main()
    assert json.loads(figures.read_text()) == found
