"""Settings that an account and region has once, in a stack of their own that all environments share."""

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledgements import acknowledge, acknowledge_wildcard
from infra.environment import Environment
from infra.logs import RETENTION

STACK = "anc-account"
IOT_LOGS = "AWSIotLogsV2"  # the name is AWS's
IOT_LOG_ACTIONS = (
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "logs:PutMetricFilter",
    "logs:PutRetentionPolicy",
)
API_GATEWAY_LOGS = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"


class Account(cdk.Stack):
    """The log role of API Gateway, and the logs of AWS IoT.

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
        self._log_iot()

    def _log_iot(self) -> None:
        """Log errors of AWS IoT: refused connections and messages, failed rules; without payloads."""
        log = logs.LogGroup(
            self,
            "iot_log",
            log_group_name=IOT_LOGS,
            retention=RETENTION,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        role = iam.Role(self, "iot_role", assumed_by=iam.ServicePrincipal("iot.amazonaws.com"))
        # Not `log.log_group_arn`: AWS IoT repeats the calls that create the group.
        group = self.format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{IOT_LOGS}:*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        role.add_to_policy(iam.PolicyStatement(actions=[*IOT_LOG_ACTIONS], resources=[group]))
        acknowledge_wildcard(role, group, "AWS IoT creates the log streams.")
        logging = iot.CfnLogging(
            self, "iot", account_id=self.account, default_log_level="ERROR", role_arn=role.role_arn
        )
        logging.node.add_dependency(role, log)
