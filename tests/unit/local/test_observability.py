"""Rules, dashboards and objectives fit together, and use metrics that the platform counts."""

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import yaml

from anc.services.counted_events import EVENTS
from anc.services.objectives import BURN_RATES, OBJECTIVES
from anc.services.platform_metrics import BACKLOG, BOUNDS_S, TIMED
from functions.routes import QUEUES
from tests.observability_files import OBSERVABILITY, alerts, panels, queries, rules, selected

ROOT = Path(__file__).parents[3]
SOURCES = (ROOT / "layers/dsp/python/anc", ROOT / "functions", ROOT / "local")
COMPOSED = (
    "messages_dead_",
    "messages_dropped_",
    "refused_",
)  # and the name of a queue, the code of a refusal


def calls() -> Iterator[tuple[str, list[ast.expr]]]:
    """Yield the name and the arguments of each call of a method in the sources."""
    for source in (path for folder in SOURCES for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and node.args:
                yield ast.unparse(node.func).rpartition(".")[2], node.args


def counted() -> set[str]:
    """Return the events that the code counts under a constant name."""
    return {
        str(arguments[0].value)
        for name, arguments in calls()
        if name in ("count", "_count", "best_effort")
        and isinstance(arguments[0], ast.Constant)
        and isinstance(arguments[0].value, str)
        and re.fullmatch("[a-z_]{3,}", arguments[0].value)  # not str.count(".")
    }


def exposed() -> set[str]:
    """Return the names of all metrics, and of what the rules record."""
    histograms = {f"anc_{name}_seconds_{part}" for name in TIMED for part in ("bucket", "count", "sum")}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    gauges = {f"anc_queue_{name}" for name in BACKLOG}
    return {"up"} | histograms | gauges | {f"anc_{name}_total" for name in EVENTS} | recorded


def test_every_counted_event_has_a_meaning_and_every_meaning_an_event() -> None:
    composed = {name for name in EVENTS if name.startswith(COMPOSED)}

    assert counted() <= set(EVENTS)
    assert set(EVENTS) - composed <= counted()
    queues = {f"messages_{fate}_{route.name}" for fate, route in product(("dead", "dropped"), QUEUES)}
    assert {name for name in composed if name.startswith("messages_")} <= queues


def test_every_measured_duration_is_a_histogram() -> None:
    measured = {
        arguments[0].value
        for name, arguments in calls()
        if name == "measure" and isinstance(arguments[0], ast.Constant)
    }
    assert measured == set(TIMED)


def test_names_of_metrics_are_composed_of_fixed_words_only() -> None:
    """A name from a request would be a new metric for each value."""
    composed = {
        ast.unparse(part.value)
        for name, arguments in calls()
        if name in ("count", "_count", "add", "measure", "time") and isinstance(arguments[0], ast.JoinedStr)
        for part in arguments[0].values
        if isinstance(part, ast.FormattedValue)
    }
    fixed = {"refusal.code", "quota.name", "counted_as", "kind", "device_status.FLOOD", "name"}
    assert composed <= fixed


@pytest.mark.parametrize("query", queries())
def test_a_query_uses_existing_metrics(query: str) -> None:
    names = set(selected(query))
    assert names or query.startswith("vector(")
    assert names <= exposed()


def test_the_dashboard_shows_the_outcome_of_filters() -> None:
    shown = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    for fate in ("sent", "kept", "at_drivers_limit", "reverted"):
        assert f"anc_filters_{fate}_total" in shown


def test_an_unknown_metric_is_detected() -> None:
    assert not set(selected("rate(anc_unicorns_total[5m]) > 1")) <= exposed()


def test_every_alert_has_a_runbook_entry() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert set(re.findall(r"^\| ([A-Z]\w+) \|", page, re.MULTILINE)) == {rule["alert"] for rule in alerts()}


def test_an_alert_on_a_quantile_has_a_bound_of_the_histogram_as_its_threshold() -> None:
    """Between two bounds, Prometheus can only guess where a quantile is."""
    thresholds = [
        float(rule["expr"].rpartition("> ")[2]) for rule in alerts() if "histogram_quantile" in rule["expr"]
    ]
    assert thresholds
    assert set(thresholds) <= set(BOUNDS_S)


def test_every_alert_has_a_summary_a_description_and_a_severity() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: objective.name)
def test_the_rules_have_the_limit_and_the_budget_of_an_objective(objective) -> None:
    own = [rule for rule in rules() if rule.get("labels") == {"objective": objective.name}]
    (budget,) = [rule["expr"] for rule in own if rule["record"] == "anc:objective_budget:ratio"]
    missed = [rule["expr"] for rule in own if rule["record"] != "anc:objective_budget:ratio"]

    assert budget == f"vector({objective.budget})"
    assert len(missed) == 2 * len(BURN_RATES)
    assert {objective.limit_s, objective.limit_on_aws_s} <= set(BOUNDS_S)
    for expression in missed:
        assert f'anc_{objective.name}_seconds_bucket{{le="{objective.limit_s}"}}' in expression


def test_the_burn_rates_of_the_alerts_are_those_of_the_objectives() -> None:
    windows = {5: "5m", 30: "30m", 60: "1h", 360: "6h"}
    burning = [rule["expr"] for rule in alerts() if rule["alert"].startswith("Budget")]
    for rate, expression in zip(BURN_RATES, burning, strict=True):
        assert expression.count(f"{rate.factor:g} * anc:objective_budget:ratio") == 2
        for minutes in (rate.long_minutes, rate.short_minutes):
            assert f"ratio_rate{windows[minutes]} " in expression


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        x, y, w, h = (panel["gridPos"][edge] for edge in "xywh")
        cells = {(across, down) for across in range(x, x + w) for down in range(y, y + h)}
        assert x + w <= 24
        assert not cells & taken
        taken |= cells


def test_grafana_finds_the_data_source_that_the_dashboards_use() -> None:
    provisioning = OBSERVABILITY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "anc.yml").read_text())["providers"]

    assert source["type"] == "prometheus"
    assert provider["options"]["path"].endswith("dashboards")
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${prometheus}"}


def test_the_prometheus_configuration_includes_the_alert_rules() -> None:
    configuration = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    assert all([*OBSERVABILITY.glob(name)] for name in configuration["rule_files"])
    assert [job["job_name"] for job in configuration["scrape_configs"]] == ["anc"]
