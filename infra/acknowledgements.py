"""Acknowledge cdk-nag findings that are intentional, at the resource and with the reason."""

from typing import Any

import aws_cdk as cdk
from constructs import IConstruct


def acknowledge(construct: IConstruct, finding: str, reason: str) -> None:
    """Acknowledge a finding at a resource with the reason."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=finding, reason=reason))


def acknowledge_wildcard(role: IConstruct, resource: str, reason: str) -> None:
    """Acknowledge a wildcard resource in a role's policy with the reason."""
    acknowledge(role, f"AwsSolutions-IAM5[Resource::{_flat(cdk.Stack.of(role).resolve(resource))}]", reason)


def _flat(resolved: Any) -> str:
    """Return a CloudFormation string as cdk-nag formats it, with references in angle brackets."""
    match resolved:
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_flat(part) for part in parts)
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::ImportValue": name}:
            return str(name)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case _:
            return str(resolved)
