"""Fixed names: they collide with those of another environment, and with what a deletion left."""

import re
from collections.abc import Iterator
from typing import Any

from infra.environment import REGION
from tests.infra.conftest import Stacks, Template
from tests.infra.rulebook import fault, rule
from tests.infra.rulebook.templates import resources

# Names that are unique in an account and region, but are no identifiers of the type in CloudFormation.
NAMES = {
    "AWS::Budgets::Budget": ("Budget", "BudgetName"),
    "AWS::CodeDeploy::Application": ("ApplicationName",),
    "AWS::SageMaker::Endpoint": ("EndpointName",),
    "AWS::WAFv2::WebACL": ("Name",),
    "AWS::XRay::SamplingRule": ("SamplingRule", "RuleName"),
    "AWS::ApiGateway::RestApi": ("Name",),  # dimension of its metrics
}
SHARED = ("account",)  # the stack of the account's settings


def names_of(resource: dict[str, Any]) -> Iterator[str]:
    """Yield the fixed names of a resource that are unique in an account and region."""
    kind, properties = resource["Type"], resource.get("Properties", {})
    if not kind.startswith("AWS::"):
        return
    if kind in NAMES:
        value: Any = properties
        for part in NAMES[kind]:
            value = value.get(part, {})
        if isinstance(value, str):
            yield value
        return
    # Every worker collects the rules, and cfn-lint takes half a second to import.
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # noqa: PLC0415

    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
    identifiers = [path.removeprefix("/properties/") for path in schema["primaryIdentifier"]]
    names = [properties.get(name) for name in identifiers]
    if names and all(isinstance(name, str) for name in names):
        yield "/".join(names)


@rule
def fixed_names_carry_the_environment(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html

    A name that another environment uses in the same account and region fails the deployment.
    """
    (stage,) = stacks.of_type("AWS::ApiGateway::Stage").values()
    for stack, logical, resource in resources(stacks):
        for name in names_of(resource):
            if stack not in SHARED and stage["StageName"] not in re.split("[^a-z]", name.lower()):
                yield f"{logical} is called {name} in every environment"


@fault(fixed_names_carry_the_environment)
def rules_of_one_name(templates: dict[str, Template]) -> None:
    for resource in templates["iot"]["Resources"].values():
        if resource["Type"] == "AWS::IoT::TopicRule":
            resource["Properties"]["RuleName"] = "anc_snapshot"


@fault(fixed_names_carry_the_environment)
def a_provisioning_template_of_one_name(templates: dict[str, Template]) -> None:
    for resource in templates["iot"]["Resources"].values():
        if resource["Type"] == "AWS::IoT::ProvisioningTemplate":
            resource["Properties"]["TemplateName"] = "anc-headset"


@rule
def what_is_retained_has_no_fixed_name(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-deletionpolicy.html

    It remains when its stack is deleted, so that the next deployment finds its name taken.
    """
    for _, logical, resource in resources(stacks):
        if resource.get("DeletionPolicy", "").startswith("Retain"):
            yield from (f"{logical}: {name} is retained" for name in names_of(resource))


@fault(what_is_retained_has_no_fixed_name)
def a_retained_rule(templates: dict[str, Template]) -> None:
    for resource in templates["iot"]["Resources"].values():
        if resource["Type"] == "AWS::IoT::TopicRule":
            resource["DeletionPolicy"] = "Retain"
