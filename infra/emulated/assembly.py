"""Adapt a synthesized assembly to the emulator: remove unsupported resources and replace addresses."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Not needed: the emulator returns the integration's body as the route response anyway.
LACKING = frozenset(
    {
        "AWS::ApiGatewayV2::RouteResponse",
        "AWS::Budgets::Budget",
        "AWS::CloudTrail::Trail",
        "AWS::CloudWatch::CompositeAlarm",
        "AWS::CodeDeploy::Application",  # aliases then move to a new version at once
        "AWS::CodeDeploy::DeploymentGroup",
        "AWS::IoT::Logging",
        "AWS::SageMaker::Endpoint",  # its callers fall back to the built-in model
        "AWS::SageMaker::EndpointConfig",
        "AWS::SageMaker::Model",
        "AWS::XRay::SamplingRule",
    }
)
ALARM_ON_EXPRESSION = "AWS::CloudWatch::Alarm on an expression"
TIMEOUT_S = 120
ANSWER_S = 30  # for a response of the emulator, which pauses for seconds on a busy machine
RETRY_S = 6  # longer than the functions of these queues take


def fit_for_emulator(assembly: Path, fitted: Path, host: str) -> list[str]:
    """Copy an assembly and adapt the templates of the copy.

    Parameters
    ----------
    assembly, fitted : Path
        The assembly and its copy, which replaces an existing one.
    host : str
        Address of the emulator, `127.0.0.1:{port}`.

    Returns
    -------
    list of str
        Descriptions of the changes.
    """
    shutil.rmtree(fitted, ignore_errors=True)
    shutil.copytree(assembly, fitted)
    removed: Counter[str] = Counter()
    widened = shortened = lengthened = 0
    for path in sorted(fitted.glob("*.template.json")):
        template = json.loads(path.read_text())
        removed += drop(template)
        readdress(template, host)
        widened += widen(template)
        shortened += hurry(template)
        lengthened += extend_timeouts(template)
        path.write_text(json.dumps(template, indent=1))
    return [
        *(f"Removed, not supported by the emulator: {n} x {kind}" for kind, n in sorted(removed.items())),
        f"Retry delay shortened to {RETRY_S} s: {shortened} queues",
        f"Timeout extended to {TIMEOUT_S} s, because it includes the start here: {lengthened} functions",
        f"Checked by action only, because the emulator derives wrong resources: {widened} IoT statements",
    ]


def lacking(resource: Mapping[str, Any]) -> str:
    """Return why the emulator does not support a resource, or "" if it does."""
    kind: str = resource["Type"]
    if kind == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]:
        return ALARM_ON_EXPRESSION
    return kind if kind in LACKING else ""


def drop(template: dict[str, Any]) -> Counter[str]:
    """Remove unsupported resources and the dependencies on them; return their counts by reason."""
    resources = template["Resources"]
    gone = {name: kind for name, resource in resources.items() if (kind := lacking(resource))}
    for name in gone:
        del resources[name]
    for resource in resources.values():
        resource.pop("UpdatePolicy", None)  # of aliases: names the deployment group
        depends = resource.get("DependsOn", [])
        if isinstance(depends, list):
            resource["DependsOn"] = [name for name in depends if name not in gone]
    return Counter(gone.values())


def readdress(template: Mapping[str, Any], host: str) -> None:
    """Replace AWS addresses in the functions' variables, and let them wait longer for a response."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            variables = resource["Properties"].setdefault("Environment", {}).setdefault("Variables", {})
            variables["AWS_ANSWER_S"] = str(ANSWER_S)
            for name, prefix in (("SOCKETS_ENDPOINT", "/_aws/execute-api/"), ("TOKEN_JWKS_URL", "/")):
                if name in variables:
                    variables[name] = _moved(variables[name], f"https://{host}{prefix}")


def widen(template: Mapping[str, Any]) -> int:
    """Extend IoT permissions to all resources: the emulator derives wrong ARNs from paths."""
    statements = [
        statement
        for resource in template["Resources"].values()
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
        if any(action.startswith("iot:") for action in _listed(statement["Action"]))
    ]
    for statement in statements:
        statement["Resource"] = "*"
    return len(statements)


def hurry(template: Mapping[str, Any]) -> int:
    """Shorten the retry delay of queues, so that the smoke test sees its dead letter in time."""
    shortened = [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::SQS::Queue" and resource["Properties"].get("VisibilityTimeout") == 60
    ]
    for properties in shortened:
        properties["VisibilityTimeout"] = RETRY_S
    return len(shortened)


def extend_timeouts(template: Mapping[str, Any]) -> int:
    """Extend the functions' timeouts: the emulator counts their initialization, AWS does not."""
    functions = [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
        and resource["Properties"].get("Timeout", 3) < TIMEOUT_S
    ]
    for properties in functions:
        properties["Timeout"] = TIMEOUT_S
    return len(functions)


def _listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions


def _moved(url: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return `https://{host}{reference}...{path}` as `{prefix}{reference}{path}`."""
    _, parts = url["Fn::Join"]
    reference = next(part for part in parts if isinstance(part, dict))
    path = parts[-1]
    return {"Fn::Join": ["", [prefix, reference, path]]}
