"""What a month costs: the arithmetic, by hand; and that the page says what the command says."""

import json
from pathlib import Path

import pytest

from tools.cost import DESIGNS, HOURS, Use, monthly, page, read_prices, snapshots, streamed

ROOT = Path(__file__).parents[3]


def test_a_price_with_tiers_is_paid_step_by_step() -> None:
    prices = read_prices()
    assert prices.of("websocket_message", 1e9) == pytest.approx(1000)
    assert prices.of("websocket_message", 3e9) == pytest.approx(1000 + 2 * 800)
    assert prices.of("websocket_message", 0) == 0


def test_a_streaming_headset_sends_and_gets_forty_seven_frames_a_second() -> None:
    amount = streamed(Use(headsets=1), 1024 / 48_000, 1024, 0.006, 0.5)
    blocks = HOURS * 3600 * 46.875
    assert amount["websocket_message"] == pytest.approx(2 * blocks)  # 4 KB up, 2 KB down: one of 32 KB each
    assert amount["dynamodb_write"] == pytest.approx(5 * blocks)  # 4.2 KB of state in units of 1 KB
    assert amount["lambda_gb_s"] == pytest.approx(0.003 * blocks)


def test_a_snapshot_of_sixty_four_kilobytes_is_thirteen_units_of_the_rules_engine() -> None:
    work = read_prices().work
    amount = snapshots(
        Use(headsets=2, hours_a_day=12, snapshots_per_hour=10, changed=0.5, telemetry_per_hour=0), work
    )
    made = 2 * HOURS / 2 * 10
    assert amount["iot_rule"] == pytest.approx(13 * made)
    assert amount["sqs_request"] == pytest.approx(
        3 * 2 * made + 3 * made / 2
    )  # 84 KB of base64: two of 64 KB
    assert amount["shadow_operation"] == pytest.approx(2 * 3 * made / 2)


def test_one_call_a_second_is_traced_and_one_in_a_hundred_of_the_others() -> None:
    seconds = HOURS * 3600
    slow, fast = (streamed(Use(headsets=n), 1.0, 1024, 0.006, 0.5)["trace"] for n in (1, 101))
    assert slow == pytest.approx(seconds)
    assert fast == pytest.approx(2 * seconds)


def test_privacy_mode_costs_less_and_more_headsets_cost_more() -> None:
    prices = read_prices()

    def total(use: Use) -> float:
        return sum(monthly(use, prices)["snapshots"].values())

    assert total(Use(private=1.0)) < total(Use())
    assert total(Use(headsets=2000)) > 1.9 * total(Use())


def test_streaming_costs_hundreds_of_times_as_much() -> None:
    dollars = monthly(Use(), read_prices())
    every, _, ours = (sum(dollars[design].values()) for design in DESIGNS)
    assert 250_000 < every < 680_000
    assert 300 < ours < 1000


def test_the_page_in_the_docs_is_what_the_command_writes() -> None:
    assert (ROOT / "docs" / "cost.md").read_text() == page(Use(), read_prices())


@pytest.mark.parametrize("text", ["", "noted = 1", "noted =", '[prices]\nwebsocket_message = "free"'])
def test_a_table_that_is_none_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"mine\.toml"):
        read_prices(path)
    with pytest.raises(FileNotFoundError, match=r"absent\.toml"):
        read_prices(tmp_path / "absent.toml")


def test_the_console_shows_what_the_command_reckons() -> None:
    shown = json.loads((ROOT / "web" / "costs.json").read_text())
    assert shown["use"] == Use()._asdict()
    for design, dollars in monthly(Use(), read_prices()).items():
        assert shown["dollars"][design] == pytest.approx(dollars)
