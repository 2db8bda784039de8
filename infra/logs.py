"""Log groups: with a retention, encrypted with the key of the deployment."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.environment import Environment

RETENTION = logs.RetentionDays.ONE_MONTH


class LogGroup(logs.LogGroup):
    """A log group of an environment.

    Parameters
    ----------
    name : str
        Name that a service expects. Such a group is always deleted with its stack, so that the name is free
        for the next deployment. Without a name, prod retains the group.
    """

    def __init__(
        self, scope: Construct, id: str, environment: Environment, key: kms.IKey, name: str = ""
    ) -> None:
        super().__init__(
            scope,
            id,
            log_group_name=name or None,
            encryption_key=key,
            retention=RETENTION,
            removal_policy=cdk.RemovalPolicy.DESTROY if name else environment.removal,
        )


def grant_key_to_logs(key: kms.Key) -> None:
    """Let CloudWatch Logs encrypt the log groups of the key's account and region."""
    stack = cdk.Stack.of(key)
    groups = f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:log-group:*"
    key.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
            actions=[
                "kms:Encrypt",
                "kms:Decrypt",
                "kms:ReEncrypt*",
                "kms:GenerateDataKey*",
                "kms:DescribeKey",
            ],
            resources=["*"],  # in a key policy: this key
            conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        )
    )
