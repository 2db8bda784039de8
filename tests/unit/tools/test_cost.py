"""The AWS cost estimate: metering checked by hand, and the docs page matches the command."""

import json
from pathlib import Path

import pytest

from tools.cost import DESIGNS, HOURS_PER_MONTH, Usage, monthly_cost, page, read_prices, snapshots, streamed

ROOT = Path(__file__).parents[3]


def test_tiered_prices_are_applied_tier_by_tier() -> None:
    prices = read_prices()
    assert prices.of("websocket_message", 1e9) == pytest.approx(1000)
    assert prices.of("websocket_message", 3e9) == pytest.approx(1000 + 2 * 800)
    assert prices.of("websocket_message", 0) == 0


def test_a_streaming_headset_exchanges_47_frames_per_second() -> None:
    amount = streamed(Usage(headsets=1), 1024 / 48_000, 1024, 0.006, 0.5)
    blocks = HOURS_PER_MONTH * 3600 * 46.875
    assert amount["websocket_message"] == pytest.approx(2 * blocks)  # 4 KB up, 2 KB down: one of 32 KB each
    assert amount["dynamodb_write"] == pytest.approx(5 * blocks)  # 4.2 KB of state in units of 1 KB
    assert amount["lambda_gb_s"] == pytest.approx(0.003 * blocks)


def test_a_64_kb_snapshot_counts_as_13_rule_units() -> None:
    work = read_prices().work
    amount = snapshots(
        Usage(headsets=2, hours_a_day=12, snapshots_per_hour=10, changed=0.5, telemetry_per_hour=0), work
    )
    made = 2 * HOURS_PER_MONTH / 2 * 10
    assert amount["iot_rule"] == pytest.approx(13 * made)
    assert amount["sqs_request"] == pytest.approx(
        3 * 2 * made + 3 * made / 2
    )  # 84 KB of base64: two of 64 KB
    assert amount["shadow_operation"] == pytest.approx(2 * 3 * made / 2)


def test_x_ray_traces_one_call_per_second_and_one_percent_of_the_rest() -> None:
    seconds = HOURS_PER_MONTH * 3600
    slow, fast = (streamed(Usage(headsets=n), 1.0, 1024, 0.006, 0.5)["trace"] for n in (1, 101))
    assert slow == pytest.approx(seconds)
    assert fast == pytest.approx(2 * seconds)


def test_cost_falls_with_privacy_mode_and_rises_with_headsets() -> None:
    prices = read_prices()

    def total(use: Usage) -> float:
        return sum(monthly_cost(use, prices)["snapshots"].values())

    assert total(Usage(private=1.0)) < total(Usage())
    assert total(Usage(headsets=2000)) > 1.9 * total(Usage())


def test_streaming_every_block_costs_hundreds_of_times_as_much() -> None:
    dollars = monthly_cost(Usage(), read_prices())
    every, _, ours = (sum(dollars[design].values()) for design in DESIGNS)
    assert 250_000 < every < 680_000
    assert 300 < ours < 1000


def test_the_cost_page_in_the_docs_is_current() -> None:
    assert (ROOT / "docs" / "cost.md").read_text() == page(Usage(), read_prices())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "noted: is required"),
        ("noted = 1", r"noted: must be a string \(got an integer\)"),
        ("noted =", "not a TOML document"),
        ('noted = ""\nregion = ""\n[prices]\nwebsocket_message = "free"', "prices.*: must be an array"),
    ],
)
def test_an_invalid_price_table_is_rejected_by_file_and_field(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"mine\.toml: {message}"):
        read_prices(path)
    with pytest.raises(FileNotFoundError, match=r"absent\.toml"):
        read_prices(tmp_path / "absent.toml")


def test_the_console_shows_the_same_costs_as_the_command() -> None:
    shown = json.loads((ROOT / "web" / "costs.json").read_text())
    assert shown["use"] == Usage()._asdict()
    for design, dollars in monthly_cost(Usage(), read_prices()).items():
        assert shown["dollars"][design] == pytest.approx(dollars)
