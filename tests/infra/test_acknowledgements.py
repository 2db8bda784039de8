"""Every cdk-nag finding is acknowledged with a reason, and every acknowledgement has a finding."""

import json

import pytest
from aws_cdk import Acknowledgment, App, Stack, Validations
from cdk_nag import AwsSolutionsChecks

from infra import acknowledgements
from infra.stacks import FLAGS, provision
from tests.infra.conftest import OPTIONS

pytestmark = pytest.mark.thorough

DEPLOYMENTS = {
    "dev": {},
    "prod": {"env": "prod", "endpoint": "instance"},
    "prod with the other options": {"env": "prod", **OPTIONS, "canary": "off"},
}


@pytest.mark.parametrize("context", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_every_cdk_nag_finding_is_acknowledged_with_a_reason(context):
    app = App(context=FLAGS | context | {"aws:cdk:bundling-stacks": []})
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    provision(app)

    app.synth()  # raises on a finding


class AcknowledgementRecorder:
    """A replacement of CDK's validations that records acknowledgements without applying them."""

    Acknowledgment, Stack = Acknowledgment, Stack

    def __init__(self):
        self.noted = []
        self.Validations = self

    def of(self, construct):
        self.construct = construct
        return self

    def acknowledge(self, acknowledgement):
        self.noted.append((self.construct.node.path, acknowledgement.id))


def test_every_acknowledgement_matches_a_finding(monkeypatch, tmp_path):
    recorder = AcknowledgementRecorder()
    monkeypatch.setattr(acknowledgements, "cdk", recorder)
    app = App(context=FLAGS | {"aws:cdk:bundling-stacks": []}, outdir=str(tmp_path))
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    provision(app)
    with pytest.raises(Exception, match="ValidationFailed"):
        app.synth()

    (report,) = json.loads((tmp_path / "validation-report.json").read_text())["pluginReports"]
    found = {
        (place["constructPath"], violation["ruleName"])
        for violation in report["violations"]
        for place in violation["violatingConstructs"]
    }
    assert recorder.noted
    for where, what in recorder.noted:
        assert any(rule == what and f"{path}/".startswith(f"{where}/") for path, rule in found), (where, what)
