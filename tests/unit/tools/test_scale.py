"""Loads on quotas, the simulation of a reconnecting fleet, and the docs page."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tools.cli.main import app
from tools.cost.estimate import read_measurements
from tools.cost.prices import read_prices
from tools.scale.command import Result, document, page_of
from tools.scale.loads import SUBSCRIPTIONS, max_headsets, read_quotas, uses
from tools.scale.page import STORMS
from tools.scale.simulation import Outcome, Parameters, simulate

ROOT = Path(__file__).parents[3]
WORK = read_prices().work
SMALL = Parameters(headsets=2000, connects_per_s=100, subscriptions_per_s=100)


def test_each_quota_limits_a_known_load_and_names_a_source() -> None:
    quotas = read_quotas()
    for use in uses(1000, read_measurements().now, WORK, quotas):
        assert 0 < use.share < 1, use.quota.name  # a default account is enough for a thousand headsets
        assert use.quota.source in quotas.sources


def test_subscriptions_per_account_limit_a_fleet_to_a_fifth_of_the_quota() -> None:
    (quota,) = (each for each in read_quotas().quotas if each.load == "subscriptions")
    assert max_headsets(quota, read_measurements().now, WORK) == quota.value // SUBSCRIPTIONS


def test_the_same_seed_gives_the_same_storm_and_another_seed_another_one() -> None:
    assert simulate(SMALL) == simulate(SMALL)
    assert simulate(SMALL) != simulate(SMALL._replace(seed=1))


def test_a_fleet_reconnects_at_the_rate_of_its_subscriptions() -> None:
    outcome = simulate(SMALL)
    at_least_s = SMALL.headsets * SMALL.subscriptions / SMALL.subscriptions_per_s
    assert at_least_s * 0.9 < outcome.last_s < 2.5 * at_least_s + SMALL.longest_retry_s
    assert outcome.refused > 0


def test_without_limits_everything_connects_at_once_and_snapshots_queue_instead() -> None:
    open_door = SMALL._replace(connects_per_s=1e6, subscriptions_per_s=1e6, concurrency=2, failed=0.0)
    outcome = simulate(open_door)
    assert outcome.refused == 0
    assert outcome.last_s <= open_door.first_retry_s
    assert outcome.peak_concurrency == outcome.cold_starts == 2
    assert outcome.longest_queue > SMALL.headsets / 2
    assert outcome.p99_s > simulate(open_door._replace(concurrency=50)).p99_s


def test_failed_calls_are_delivered_again_after_the_visibility_timeout() -> None:
    outcome = simulate(Parameters(headsets=500, failed=0.1))
    assert outcome.retried > 10
    assert outcome.max_s > Parameters().visibility_s


def test_the_scale_page_in_the_docs_is_current() -> None:
    """The storms of a whole cell take seconds each, so only the first one is simulated here."""
    text = (ROOT / "docs" / "scale.md").read_text()
    none = Outcome(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    outcomes = [simulate(STORMS[0]), *(none for _ in STORMS[1:])]
    expected = page_of(Result(read_measurements().now, WORK, read_quotas(), outcomes))
    simulated = [line for line in expected.splitlines() if " | 0 / 0 | " in line]
    assert len(simulated) == len(STORMS) - 1
    missing = set(expected.splitlines()) - set(text.splitlines()) - set(simulated)
    assert not missing


def test_the_document_has_every_storm() -> None:
    result = Result(read_measurements().now, WORK, read_quotas(), [simulate(STORMS[0])] * len(STORMS))
    assert [storm["headsets"] for storm in document(result)["storms"]] == [s.headsets for s in STORMS]


@pytest.mark.parametrize("options", [[], ["--json"], ["--seed", "1", "--write", "page.md"]])
def test_the_command_simulates_every_storm_and_writes_the_page(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated: list[Parameters] = []
    none = Outcome(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    monkeypatch.setattr("tools.scale.command.simulate", lambda storm: simulated.append(storm) or none)
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(app, ["scale", *options])
    assert answer.exit_code == 0, answer.output
    assert simulated == [storm._replace(seed=int("--seed" in options)) for storm in STORMS]
    assert (tmp_path / "page.md").exists() == ("--write" in options)
    assert "--json" not in options or len(json.loads(answer.stdout)["storms"]) == len(STORMS)


@pytest.mark.parametrize("per_s", [0.5, 2.0])
def test_a_rate_limit_refills_with_time(per_s: float) -> None:
    outcome = simulate(Parameters(headsets=20, connects_per_s=1.0, subscriptions_per_s=3 * per_s))
    assert outcome.last_s > 5
