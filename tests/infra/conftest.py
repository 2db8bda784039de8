"""Fixtures with the synthesized CloudFormation templates."""

# ruff: noqa: I001  # infra sets the path of Node, which CDK needs on import
import infra  # noqa: F401
from functools import cache
from typing import Any

import aws_cdk as cdk
import pytest

from infra.concurrency import NEW_ACCOUNT
from infra.environment import CONCURRENCY_OF_PROD
from infra.stacks import FLAGS, provision

Template = dict[str, Any]
OPTIONS = {
    "endpoint": "none",
    "domain": "anc.example.com",
    "certificate": "arn:aws:acm:us-east-1:000000000000:certificate/1",
    "mail": "ops@example.com",
    "concurrency": "1000",
    "warm": "1",
    "canary": "on",
}


def synthesize(env: str = "dev", **context: str) -> dict[str, Template]:
    """Return the templates of a deployment by the last word of their names; assets are not built."""
    return _synthesize(env, tuple(sorted(context.items())))


@cache
def _synthesize(env: str, options: tuple[tuple[str, str], ...]) -> dict[str, Template]:
    context = dict(options)
    app = cdk.App(context=FLAGS | context | {"env": env, "aws:cdk:bundling-stacks": []})
    names = [stack.stack_name for stack in provision(app)]
    assembly = app.synth()
    return {name.rpartition("-")[2]: assembly.get_stack_by_name(name).template for name in names}


def deployment(env: str = "dev", **context: str) -> "Stacks":
    """Return the stacks of a deployment, for the account that it is for."""
    quota = context.get("concurrency", CONCURRENCY_OF_PROD if env == "prod" else NEW_ACCOUNT)
    return Stacks(synthesize(env, **context), int(quota))


class Stacks:
    """Queries on the templates.

    Parameters
    ----------
    templates : dict of str to dict
    quota : int
        Concurrent executions of Lambda in the account that the templates are for.
    """

    def __init__(self, templates: dict[str, Template], quota: int = CONCURRENCY_OF_PROD) -> None:
        self.templates = templates
        self.quota = quota

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of every resource of a type, by logical id."""
        return {
            name: resource.get("Properties", {})
            for template in self.templates.values()
            for name, resource in template["Resources"].items()
            if resource["Type"] == kind
        }

    def functions(self) -> dict[str, dict[str, Any]]:
        """Return the properties of every function of ours, by its own name."""
        return {
            properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]: properties
            for properties in self.of_type("AWS::Lambda::Function").values()
            if "Environment" in properties  # which CDK's own, for references between regions, lacks
        }

    def function_of(self, reference: Any) -> str:
        """Return the name of the one function that a value refers to."""
        text = self.text(reference)
        for alias, properties in self.of_type("AWS::Lambda::Alias").items():
            if alias in text:
                text = self.text(properties["FunctionName"])
        named = {
            properties["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
            for logical, properties in self.of_type("AWS::Lambda::Function").items()
            if logical in text and "Environment" in properties
        }
        assert len(named) == 1, f"{reference} refers to {named or 'no function'}"
        return named.pop()

    def text(self, value: Any) -> str:
        """Return a value as text: references are their logical ids, imports those of what they import."""
        match value:
            case str():
                return value
            case {"Ref": name}:
                return str(name)
            case {"Fn::GetAtt": [name, _]}:
                return str(name)
            case {"Fn::ImportValue": name}:
                exports = {
                    output["Export"]["Name"]: output["Value"]
                    for template in self.templates.values()
                    for output in template.get("Outputs", {}).values()
                    if "Export" in output
                }
                return self.text(exports[name])
            case {"Fn::Join": [separator, parts]}:
                return str(separator).join(self.text(part) for part in parts)
            case {"Fn::Select": [_, {"Fn::Split": [_, whole]}]}:
                return self.text(whole)
        raise AssertionError(f"cannot read {value}")


@pytest.fixture(scope="session")
def stacks() -> Stacks:
    """Return the stacks of a dev deployment, with a serverless endpoint."""
    return Stacks(synthesize("dev"))


@pytest.fixture(scope="session")
def prod() -> Stacks:
    """Return the stacks of a prod deployment."""
    return Stacks(synthesize("prod"))


@pytest.fixture(scope="session")
def without_endpoint() -> Stacks:
    """Return the stacks of a dev deployment without an endpoint, and with the other options."""
    return Stacks(synthesize(**OPTIONS))
