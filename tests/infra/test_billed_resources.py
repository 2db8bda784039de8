"""The counts of billed resources in the cost estimate are those of the templates."""

import json
import os

import pytest

from tools.cost.deployment import DEPLOYMENT, count, read_deployment


def test_the_cost_estimate_counts_the_resources_of_prod(prod):
    """`make resources` updates the counts; `anc cost --write docs/cost.md` then updates the page."""
    counts = count(prod.templates)
    if os.environ.get("WRITE_RESOURCES"):
        DEPLOYMENT.write_text(json.dumps(counts, indent=1) + "\n")
    recorded = read_deployment()
    assert counts.keys() == recorded.keys()
    for unit, count_of_unit in counts.items():  # a few alarms more need no new page
        assert count_of_unit == pytest.approx(recorded[unit], rel=0.25), unit


def test_alarms_are_billed_by_metric(prod):
    counts = count(prod.templates)
    assert counts["alarm_metric"] > counts["dashboard"] > 0
    assert counts["detailed_metric"] == 0  # no alarm uses metrics of single methods
