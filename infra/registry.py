"""Permissions of functions on the headset registry in AWS IoT."""

import aws_cdk as cdk
from constructs import Construct

from anc.schemas.shadow import SHADOW, SUMMARY_SHADOW
from anc.schemas.topics import job_name
from infra.functions import PlatformFunction

THING_NAMES = "Names of headsets are not known at deployment."
CERTIFICATE_NAMES = "Certificate ids are not known at deployment."
JOB_NAMES = "Names of jobs contain the time; the environment is fixed."
JOB_ACTIONS = ("iot:CreateJob", "iot:CancelJob", "iot:ListJobExecutionsForJob")
INDEX_ACTIONS = (
    "iot:SearchIndex",
    "iot:GetStatistics",
    "iot:GetPercentiles",
    "iot:GetBucketsAggregation",
)
THING_ACTIONS = ("iot:CreateThing", "iot:DeleteThing", "iot:ListThingPrincipals")
OWNERSHIP_ACTIONS = ("iot:DescribeThing",)
REVOKE_ACTIONS = (
    "iot:DescribeCertificate",
    "iot:UpdateCertificate",
    "iot:DetachPolicy",
    "iot:DetachThingPrincipal",
)


def may_check_ownership(function: PlatformFunction) -> None:
    """Let a function find out whether a thing belongs to this deployment."""
    things = cdk.Stack.of(function).format_arn(service="iot", resource="thing", resource_name="*")
    function.may(OWNERSHIP_ACTIONS, things, THING_NAMES)


def may_update_fleet_index(function: PlatformFunction, *more: str) -> None:
    """Let a function write the summaries of headsets; `more` are further actions on them."""
    summaries = cdk.Stack.of(function).format_arn(
        service="iot", resource="thing", resource_name=f"*/{SUMMARY_SHADOW}"
    )
    function.may(["iot:UpdateThingShadow", *more], summaries, THING_NAMES)


def may_search_fleet_index(function: PlatformFunction) -> None:
    """Let a function query the index of all things. Its queries name the thing type of the deployment."""
    index = cdk.Stack.of(function).format_arn(service="iot", resource="index", resource_name="AWS_Things")
    function.may(INDEX_ACTIONS, index)


def may_run_jobs(function: PlatformFunction, environment: str) -> None:
    """Let a function start, read and cancel the jobs of this environment on headsets."""
    stack = cdk.Stack.of(function)
    jobs, things = (
        stack.format_arn(service="iot", resource=kind, resource_name=name)
        for kind, name in (("job", job_name("*", environment)), ("thing", "*"))
    )
    function.may(JOB_ACTIONS, jobs, JOB_NAMES)
    # CreateJob is authorized on its targets too.
    function.may(["iot:CreateJob"], things, THING_NAMES)
    function.add_environment("THINGS_ARN", things.removesuffix("*"))


def certificates(scope: Construct) -> str:
    """Return the ARN of every certificate."""
    return cdk.Stack.of(scope).format_arn(service="iot", resource="cert", resource_name="*")


def may_revoke(function: PlatformFunction) -> None:
    """Let a function revoke certificates of headsets and close their connections."""
    clients = cdk.Stack.of(function).format_arn(service="iot", resource="client", resource_name="*")
    function.may(["iot:DeleteConnection"], clients, THING_NAMES)
    function.may(REVOKE_ACTIONS, certificates(function), CERTIFICATE_NAMES)


def may_register(function: PlatformFunction) -> None:
    """Let a function register headsets, issue and revoke their certificates, and remove them."""
    stack = cdk.Stack.of(function)
    things, shadows = (
        stack.format_arn(service="iot", resource="thing", resource_name=name) for name in ("*", f"*/{SHADOW}")
    )
    function.may(THING_ACTIONS, things, THING_NAMES)
    function.may(["iot:GetThingShadow", "iot:DeleteThingShadow"], shadows, THING_NAMES)
    may_update_fleet_index(function, "iot:DeleteThingShadow")
    may_check_ownership(function)
    may_revoke(function)
    function.may(["iot:AttachPolicy", "iot:AttachThingPrincipal"], certificates(function), CERTIFICATE_NAMES)
    function.may(
        ["iot:CreateKeysAndCertificate", "iot:DescribeEndpoint"], "*", "They do not support resources."
    )
