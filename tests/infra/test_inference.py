"""The SageMaker endpoint and its permissions."""

import pytest
from aws_cdk import App

from infra.environment import Environment
from tests.infra.conftest import Stacks, synthesize

ENDPOINT = "AWS::SageMaker::Endpoint"


def test_the_endpoint_can_be_left_out(without_endpoint):
    assert not without_endpoint.of_type(ENDPOINT)
    for function in without_endpoint.functions().values():
        assert "ML_ENDPOINT_NAME" not in function["Environment"]["Variables"]


def test_functions_get_the_name_of_the_endpoint(stacks):
    (endpoint,) = stacks.of_type(ENDPOINT).values()
    endpoints = {
        name: function["Environment"]["Variables"].get("ML_ENDPOINT_NAME")
        for name, function in stacks.functions().items()
    }
    assert {name for name, value in endpoints.items() if value} == {"classifier", "anc_processor"}
    assert endpoints["classifier"] == endpoints["anc_processor"] == endpoint["EndpointName"]


def test_a_serverless_endpoint_is_within_service_limits(stacks):
    (configuration,) = stacks.of_type("AWS::SageMaker::EndpointConfig").values()
    (variant,) = configuration["ProductionVariants"]
    assert variant["ServerlessConfig"]["MemorySizeInMB"] in range(1024, 6145, 1024)
    assert "InstanceType" not in variant
    (model,) = stacks.of_type("AWS::SageMaker::Model").values()
    assert not model["EnableNetworkIsolation"], "which serverless inference does not support"
    assert model["PrimaryContainer"]["Environment"]["OPENBLAS_NUM_THREADS"] == "1"


def test_endpoint_instances_scale_with_the_load():
    stacks = Stacks(synthesize("dev", endpoint="instance"))
    (target,) = stacks.of_type("AWS::ApplicationAutoScaling::ScalableTarget").values()
    (endpoint,) = stacks.of_type(ENDPOINT).values()
    (model,) = stacks.of_type("AWS::SageMaker::Model").values()
    assert model["EnableNetworkIsolation"]
    assert target["ResourceId"] == f"endpoint/{endpoint['EndpointName']}/variant/all"
    assert 1 <= target["MinCapacity"] < target["MaxCapacity"]


@pytest.mark.parametrize(
    ("what", "chosen"),
    [
        ("env", "test"),
        ("layer", "x86"),
        ("endpoint", "large"),
        ("log_level", "TRACE"),
        ("budget", "much"),
        ("budget", "0"),
        ("warm", "-1"),
        ("warm", "101"),
        ("domain", "anc.example"),
        ("certificate", "arn:none"),
    ],
)
def test_an_invalid_context_value_is_rejected_by_name(what, chosen):
    with pytest.raises(ValueError, match=f"{what}.*{chosen}"):
        Environment.of(App(context={what: chosen}))
