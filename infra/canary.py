"""Gradual deployments: a new version gets a tenth of the calls first, and alarms roll it back."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.environment import Environment

MINUTE = cdk.Duration.minutes(1)
QUEUE_AGE_S = 90  # one failed delivery of a snapshot or update takes a minute: its visibility timeout
POLICY = "service-role/AWSCodeDeployRoleForLambdaLimited"


class Canary(Construct):
    """The alias of a function that callers use, and how it moves to a new version.

    A deployment of prod shifts 10 % of the calls for five minutes and then the rest. If an alarm is raised
    meanwhile, all calls return to the previous version and the update of the stack fails. An alarm that is
    raised before also stops a deployment: deploy a repair with `-c canary=off`.

    Parameters
    ----------
    warm : int
        Provisioned concurrency of a version, new or old.
    queue_ages : mapping of str to Metric
        Age of the oldest message of each queue that the function consumes. A batch with failed messages is no
        error of the function, so failures of a consumer show here.

    Attributes
    ----------
    alias : Alias
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        function: lambda_.Function,
        environment: Environment,
        *,
        warm: int = 0,
        queue_ages: Mapping[str, cloudwatch.IMetric] | None = None,
    ) -> None:
        super().__init__(scope, id)
        if warm:
            _keep_warm(function, warm)
        self.alias = lambda_.Alias(self, "alias", alias_name="live", version=function.current_version)
        if environment.canary == "off":
            return
        prefix = f"anc-{environment.name}-{function.node.id}-canary"
        alarms = [self._alarm("errors", f"{prefix}-errors", self.alias.metric_errors(period=MINUTE), 0)]
        for queue, age in (queue_ages or {}).items():
            alarms.append(self._alarm(f"{queue}_old", f"{prefix}-{queue}-old", age, QUEUE_AGE_S))
        group = codedeploy.LambdaDeploymentGroup(
            self,
            "group",
            alias=self.alias,
            deployment_config=codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_5_MINUTES,
            alarms=alarms,
        )
        acknowledge(
            group,
            f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{POLICY}]",
            "CodeDeploy's policy for Lambda is limited to its own hooks and alarms.",
        )

    def _alarm(self, id: str, name: str, metric: cloudwatch.IMetric, threshold: float) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            id,
            alarm_name=name,
            alarm_description="Rolls back a deployment that is in progress.",
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )


def _keep_warm(function: lambda_.Function, executions: int) -> None:
    """Provision concurrency for each version of a function.

    The alias should not have it: while CodeDeploy shifts its calls, it has weights, and Lambda refuses to
    change the provisioned concurrency of an alias with weights. CloudFormation cannot change that of a
    version, so another number makes another version.
    """
    version = function.current_version.node.default_child
    assert isinstance(version, lambda_.CfnVersion)
    version.provisioned_concurrency_config = lambda_.CfnVersion.ProvisionedConcurrencyConfigurationProperty(
        provisioned_concurrent_executions=executions
    )
    function.invalidate_version_based_on(f"warm={executions}")
