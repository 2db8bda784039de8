"""What `deploy/observability` contains: rules, panels, and the metrics in their queries."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import yaml

OBSERVABILITY = Path(__file__).parents[1] / "deploy" / "observability"
RULES = OBSERVABILITY / "rules" / "anc.yml"
INTERVAL = "$__rate_interval"  # Grafana fills it in before Prometheus sees the query


def rules() -> list[dict[str, Any]]:
    """Return alert rules and recording rules."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Return the alert rules."""
    return [rule for rule in rules() if "alert" in rule]


def panels() -> list[dict[str, Any]]:
    """Return the panels of all dashboards."""
    boards = (OBSERVABILITY / "grafana" / "dashboards").glob("*.json")
    return [panel for board in boards for panel in json.loads(board.read_text())["panels"]]


def queries() -> list[str]:
    """Return the queries of rules and panels."""
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + [query.replace(INTERVAL, "5m") for query in expressions]


def selected(query: str) -> Iterator[str]:
    """Yield the metrics of a query."""
    names: list[str] = []

    def note(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            names.append(str(node.name))
        elif isinstance(node, promql_parser.MatrixSelector):
            names.append(str(node.vector_selector.name))
        return True

    promql_parser.walk(promql_parser.parse(query), note)
    yield from names
