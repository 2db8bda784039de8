"""What functions may do with the registry of headsets in AWS IoT."""

import aws_cdk as cdk
from constructs import Construct

from anc.schemas.shadow import SHADOW
from infra.functions import PlatformFunction

NAMELESS = "A headset's name is not known before it is registered."
A_FINGERPRINT = "A certificate's name is its fingerprint."
THING_RIGHTS = ("iot:CreateThing", "iot:DeleteThing", "iot:ListThingPrincipals")
REVOKING = (
    "iot:DescribeCertificate",
    "iot:UpdateCertificate",
    "iot:DetachPolicy",
    "iot:DetachThingPrincipal",
)


def certificates(scope: Construct) -> str:
    """Return the ARN of every certificate."""
    return cdk.Stack.of(scope).format_arn(service="iot", resource="cert", resource_name="*")


def may_revoke(function: PlatformFunction) -> None:
    """Let a function revoke certificates of headsets and cut their connections."""
    clients = cdk.Stack.of(function).format_arn(service="iot", resource="client", resource_name="*")
    function.may(["iot:DeleteConnection"], clients, NAMELESS)
    function.may(REVOKING, certificates(function), A_FINGERPRINT)


def may_register(function: PlatformFunction) -> None:
    """Let a function register headsets, issue and revoke their certificates, and remove them."""
    stack = cdk.Stack.of(function)
    things, shadows = (
        stack.format_arn(service="iot", resource="thing", resource_name=name) for name in ("*", f"*/{SHADOW}")
    )
    function.may(THING_RIGHTS, things, NAMELESS)
    function.may(["iot:GetThingShadow", "iot:DeleteThingShadow"], shadows, NAMELESS)
    may_revoke(function)
    function.may(["iot:AttachPolicy", "iot:AttachThingPrincipal"], certificates(function), A_FINGERPRINT)
    function.may(
        ["iot:CreateKeysAndCertificate", "iot:DescribeEndpoint"], "*", "These have no resource to name."
    )
