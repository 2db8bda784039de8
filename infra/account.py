"""Settings that an account and region has once, in a stack of their own that all environments share."""

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.environment import Environment

STACK = "anc-account"
API_GATEWAY_LOGS = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"


class Account(cdk.Stack):
    """The role with which API Gateway writes logs.

    Deleting it would stop the logs of every environment, so `make destroy` leaves this stack. Stacks that
    need a setting import its value: CloudFormation creates the setting first and refuses to delete it.

    Attributes
    ----------
    api_gateway : CfnAccount
    """

    def __init__(self, scope: Construct, environment: Environment) -> None:
        super().__init__(scope, STACK, env=environment.target)
        role = iam.Role(
            self,
            "api_gateway_role",
            assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(API_GATEWAY_LOGS)],
        )
        acknowledge(
            role,
            f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{API_GATEWAY_LOGS}]",
            "API Gateway requires this managed policy.",
        )
        self.api_gateway = apigateway.CfnAccount(self, "api_gateway", cloud_watch_role_arn=role.role_arn)
        self.export_value(self.api_gateway.ref)
