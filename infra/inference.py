"""A SageMaker endpoint with a larger noise classifier; `-c endpoint=none` leaves it out."""

import subprocess
import sys

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.acknowledgements import acknowledge_wildcard
from infra.environment import Environment
from infra.logs import LogGroup
from infra.wheels import ROOT

ARTIFACT = ROOT / "build" / "endpoint" / "model.tar.gz"
CONTAINER = "sagemaker-scikit-learn"
TAG = "1.4-2-cpu-py3"
# AWS accounts that host the container, by region.
# Source: SageMaker Developer Guide, "Docker Registry Paths and Example Code", scikit-learn.
REGISTRIES = {
    "eu-central-1": "492215442770",
    "eu-west-1": "141502667606",
    "us-east-1": "683313688378",
    "us-east-2": "257758044811",
    "us-west-2": "246618743249",
    "ap-northeast-1": "354813040037",
}
VARIANT = "all"
SERVERLESS_MB = 3072
# A new account has 10 for all endpoints of a region: enough for two environments.
SERVERLESS_CONCURRENCY = 5
INSTANCE = "ml.m5.large"
INSTANCES = (1, 4)
# Scaling target per instance: half of what one core handles at 50 ms per call.
CALLS_PER_MINUTE = 600


def endpoint_name(environment: Environment) -> str:
    """Return the name of a deployment's endpoint."""
    return f"anc-{environment.name}"


def _log_name(environment: Environment) -> str:
    """Return the name that SageMaker gives the log group of an endpoint."""
    return f"/aws/sagemaker/Endpoints/{endpoint_name(environment)}"


class Inference(cdk.Stack):
    """Model, endpoint configuration and endpoint; instances scale with the load."""

    def __init__(self, scope: Construct, id: str, environment: Environment, key: kms.IKey) -> None:
        super().__init__(scope, id, env=environment.target)
        registry = REGISTRIES.get(self.region)
        if registry is None:
            raise ValueError(
                f"region must be one of {', '.join(sorted(REGISTRIES))} for an endpoint (got {self.region}); "
                "deploy without one: -c endpoint=none"
            )
        image = f"{registry}.dkr.ecr.{self.region}.{self.url_suffix}/{CONTAINER}:{TAG}"
        artifact = assets.Asset(self, "artifact", path=_artifact())
        role = self._role(artifact, registry, environment)
        model = sagemaker.CfnModel(
            self,
            "model",
            execution_role_arn=role.role_arn,
            # The container makes no outgoing calls. Serverless endpoints do not support isolation.
            enable_network_isolation=environment.endpoint != "serverless",
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=image,
                model_data_url=artifact.s3_object_url,
                environment={
                    "SAGEMAKER_PROGRAM": "inference.py",
                    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                    "OPENBLAS_NUM_THREADS": "1",  # the container runs one worker process per core
                },
            ),
        )
        model.node.add_dependency(role)
        configuration = sagemaker.CfnEndpointConfig(
            self, "configuration", production_variants=[_variant(environment, model.attr_model_name)]
        )
        endpoint = sagemaker.CfnEndpoint(
            self,
            "endpoint",
            endpoint_name=endpoint_name(
                environment
            ),  # fixed: functions get the name before the endpoint exists
            endpoint_config_name=configuration.attr_endpoint_config_name,
        )
        log = LogGroup(self, "log", environment, key, name=_log_name(environment))
        endpoint.node.add_dependency(log)
        if environment.endpoint == "instance":
            self._add_scaling(endpoint)

    def _role(self, artifact: assets.Asset, registry: str, environment: Environment) -> iam.Role:
        role = iam.Role(self, "role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        repository = f"arn:{self.partition}:ecr:{self.region}:{registry}:repository/{CONTAINER}"
        logs = self.format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{_log_name(environment)}:*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        object_arn = artifact.bucket.arn_for_objects(artifact.s3_object_key)
        for actions, resource in (
            (["s3:GetObject"], object_arn),
            (
                ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
                repository,
            ),
            (["ecr:GetAuthorizationToken"], "*"),
            (["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], logs),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=[resource]))
        acknowledge_wildcard(role, "*", "ecr:GetAuthorizationToken does not support resources.")
        acknowledge_wildcard(role, logs, "SageMaker creates the log streams of the endpoint.")
        return role

    def _add_scaling(self, endpoint: sagemaker.CfnEndpoint) -> None:
        min_instances, max_instances = INSTANCES
        target = autoscaling.ScalableTarget(
            self,
            "instances",
            service_namespace=autoscaling.ServiceNamespace.SAGEMAKER,
            resource_id=f"endpoint/{endpoint.endpoint_name}/variant/{VARIANT}",
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
            min_capacity=min_instances,
            max_capacity=max_instances,
        )
        target.node.add_dependency(endpoint)
        target.scale_to_track_metric(
            "calls",
            target_value=CALLS_PER_MINUTE,
            predefined_metric=autoscaling.PredefinedMetric.SAGEMAKER_VARIANT_INVOCATIONS_PER_INSTANCE,
            scale_in_cooldown=cdk.Duration.minutes(10),
            scale_out_cooldown=cdk.Duration.minutes(1),
        )


def _variant(environment: Environment, model: str) -> sagemaker.CfnEndpointConfig.ProductionVariantProperty:
    kind = sagemaker.CfnEndpointConfig
    if environment.endpoint == "serverless":
        return kind.ProductionVariantProperty(
            variant_name=VARIANT,
            model_name=model,
            initial_variant_weight=1,
            serverless_config=kind.ServerlessConfigProperty(
                memory_size_in_mb=SERVERLESS_MB, max_concurrency=SERVERLESS_CONCURRENCY
            ),
        )
    return kind.ProductionVariantProperty(
        variant_name=VARIANT,
        model_name=model,
        initial_variant_weight=1,
        instance_type=INSTANCE,
        initial_instance_count=INSTANCES[0],
    )


def _artifact() -> str:
    """Return the artifact of `make endpoint-model`, or build the one without a backbone."""
    if not ARTIFACT.exists():
        script = ROOT / "sagemaker" / "package.py"
        subprocess.run([sys.executable, str(script), str(ARTIFACT)], check=True, capture_output=True)  # noqa: S603
    return str(ARTIFACT)
