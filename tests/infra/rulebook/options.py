"""Options that exclude each other, and options that have no effect where they are."""

from collections.abc import Iterator

from tests.infra.conftest import Stacks, Template
from tests.infra.rulebook import fault, rule
from tests.infra.rulebook.templates import of_type, resources


@rule
def serverless_endpoints_have_no_network_isolation_or_vpc(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html

    Both are features that serverless inference does not support.
    """
    variants = [
        variant
        for _, configuration in of_type(stacks, "AWS::SageMaker::EndpointConfig")
        for variant in configuration["ProductionVariants"]
    ]
    models = stacks.of_type("AWS::SageMaker::Model")
    for variant in variants:
        if "ServerlessConfig" in variant:
            model = models[stacks.text(variant["ModelName"])]
            if model.get("EnableNetworkIsolation") or "VpcConfig" in model:
                yield "the model of a serverless endpoint is isolated or in a VPC"
            if "InstanceType" in variant or "InitialInstanceCount" in variant:
                yield "a serverless variant names instances"


@fault(serverless_endpoints_have_no_network_isolation_or_vpc)
def an_isolated_model(templates: dict[str, Template]) -> None:
    for _, _, resource in resources(Stacks(templates)):
        if resource["Type"] == "AWS::SageMaker::Model":
            resource["Properties"]["EnableNetworkIsolation"] = True
