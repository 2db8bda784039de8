"""The counts of billed resources in the cost estimate are those of the templates."""

import copy
import os

import msgspec

from tools.cost.deployment import DEPLOYMENT, count, read_deployment


def test_the_cost_estimate_counts_the_resources_of_prod(prod):
    """`make resources` updates the counts; `anc cost --write docs/cost.md` then updates the page."""
    counts = count(prod.templates)
    if os.environ.get("WRITE_RESOURCES"):
        DEPLOYMENT.write_bytes(msgspec.json.format(msgspec.json.encode(counts), indent=1) + b"\n")
    assert counts == read_deployment(), "write them down: make resources, then anc cost --write docs/cost.md"


def test_the_estimate_has_traces_of_functions_only_if_they_begin_traces(prod):
    faulty = copy.deepcopy(prod.templates)
    for resource in faulty["iot"]["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["TracingConfig"] = {"Mode": "Active"}

    assert count(prod.templates).traced == []
    assert count(faulty).traced == ["anc_processor", "audio_sender", "provisioner", "rollout_manager"]


def test_the_estimate_has_the_log_of_each_call_only_if_lambda_writes_it(prod):
    faulty = copy.deepcopy(prod.templates)
    for resource in faulty["iot"]["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            del resource["Properties"]["LoggingConfig"]["SystemLogLevel"]  # INFO

    assert count(prod.templates).logged == []
    assert count(faulty).logged == ["anc_processor", "audio_sender", "provisioner", "rollout_manager"]


def test_alarms_are_billed_by_metric(prod):
    counts = count(prod.templates).units
    assert counts["alarm_metric"] > counts["dashboard"] > 0
    assert counts["detailed_metric"] == 0  # no alarm uses metrics of single methods
