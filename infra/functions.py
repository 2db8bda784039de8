"""One Lambda function of the platform, with a role that is its own."""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.aws_lambda_event_sources import SqsEventSource
from constructs import Construct

from anc.tables import GROUP_INDEX, variable
from functions.routes import QueueRoute
from infra.acknowledgements import acknowledge, acknowledge_wildcard
from infra.data import Data
from infra.environment import Environment
from infra.inference import endpoint_name
from infra.layer import ARCHITECTURE, RUNTIME
from infra.wheels import ROOT

LOG_RETENTION = logs.RetentionDays.ONE_MONTH

READ = ("dynamodb:GetItem",)
QUERY = "dynamodb:Query"
LIST = (QUERY, "dynamodb:BatchGetItem")
WRITE = ("dynamodb:PutItem",)
DELETE = ("dynamodb:DeleteItem",)
ADD = ("dynamodb:UpdateItem",)
READ_FILE = ("s3:GetObject",)
WRITE_FILE = ("s3:PutObject",)
ABANDON_PARTS = ("s3:AbortMultipartUpload",)
WRITE_PARTS = ("s3:PutObject", *ABANDON_PARTS, "s3:ListMultipartUploadParts")
DELETE_FILE = ("s3:DeleteObject",)
USE_OF_KEY = ("kms:DescribeKey", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")


class PlatformFunction(lambda_.Function):
    """The function whose handler lies in `functions/{name}`.

    It may write its own log, leave traces and count what happens, and nothing else, until it is granted more.

    Parameters
    ----------
    data : Data
    name : str
        A folder of `functions`.
    layer : LayerVersion
    environment : Environment
    memory_mb : int
        A whole core comes with 1,769 MB.
    timeout_s : int
        Longer than the retries of the function's own calls (`anc.aws.clients`), less than its caller waits.
    reserved : int, optional
        Calls at a time that are kept for it out of the account's, and that it gets at most.
    variables : mapping
        Environment variables besides those that every function has.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        data: Data,
        layer: lambda_.ILayerVersion,
        environment: Environment,
        memory_mb: int = 512,
        timeout_s: int = 10,
        reserved: int | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        log = logs.LogGroup(
            scope,
            f"{name}_log",
            retention=LOG_RETENTION,
            removal_policy=environment.removal,
        )
        role = iam.Role(scope, f"{name}_role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        super().__init__(
            scope,
            name,
            code=_code(name),
            handler=f"functions.{name}.handler.handler",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            layers=[layer],
            role=role,
            log_group=log,
            tracing=lambda_.Tracing.ACTIVE,
            memory_size=memory_mb,
            reserved_concurrent_executions=reserved,
            timeout=cdk.Duration.seconds(timeout_s),
            environment={
                "POWERTOOLS_SERVICE_NAME": name,
                "POWERTOOLS_METRICS_NAMESPACE": environment.metrics,
                "POWERTOOLS_LOG_LEVEL": environment.log_level,
                "OPENBLAS_NUM_THREADS": "1",  # it counts the host's cores, not the share that memory_mb buys
                **environment.limits,
                **(variables or {}),
            },
        )
        acknowledge(self, "AwsSolutions-L1", "The layer's wheels are locked and tested for this Python.")
        acknowledge_wildcard(role, "*", "A trace is no resource.")
        self._role = role
        self._data = data
        self._environment = environment
        log.grant_write(role)
        self._may_use_key()
        self.may_use("counters", ADD)

    def may_use(self, table: str, *rights: Sequence[str]) -> None:
        """Let the function do so much with a table, and no more, and tell it the table's name."""
        kept = self._data.tables[table]
        actions = [action for right in rights for action in right if action != QUERY]
        self.may(actions, kept.table_arn)
        if LIST in rights:
            self.may([QUERY], f"{kept.table_arn}/index/{GROUP_INDEX}")
        self.add_environment(variable(table), kept.table_name)

    def may_use_files(self, prefix: str, *rights: Sequence[str]) -> None:
        """Let the function do so much with the files below a prefix, and tell it the bucket's name."""
        bucket = self._data.export_value(self._data.objects.bucket_arn)
        actions = sorted({action for right in rights for action in right})
        self.may(actions, f"{bucket}/{prefix}*", "Files are named by the jobs that they belong to.")
        self.may(["s3:ListBucket"], bucket)  # without it S3 answers 403, not 404, when a file is absent
        self.add_environment("OBJECTS_BUCKET", self._data.objects.bucket_name)

    def may_send(self, queue: str) -> None:
        """Let the function send to a queue, and tell it the queue's address."""
        kept = self._data.queues[queue]
        self.may(["sqs:SendMessage"], kept.queue_arn)
        self.add_environment(f"{queue.upper()}_QUEUE_URL", kept.queue_url)

    def may_raise_the_alarm(self) -> None:
        """Let the function write emergencies down and tell those who want to know."""
        self.may_use("emergencies", WRITE)
        self.may(["sns:Publish"], self._data.alerts.topic_arn)
        self.add_environment("ALERTS_TOPIC", self._data.alerts.topic_arn)

    def knows_endpoint(self) -> bool:
        """Tell the function which endpoint there is, if there is one."""
        if self._environment.endpoint == "none":
            return False
        self.add_environment("ML_ENDPOINT_NAME", endpoint_name(self._environment))
        return True

    def may(self, actions: Sequence[str], resource: str, why_any: str = "") -> None:
        """Let the function do these things to a resource; `why_any` is the reason if that has a wildcard."""
        self.add_to_role_policy(iam.PolicyStatement(actions=[*actions], resources=[resource]))
        if why_any:
            acknowledge_wildcard(self._role, resource, why_any)

    def _may_use_key(self) -> None:
        """Let the services that hold the data use the key in the function's name, not the function."""
        services = [
            f"{service}.{self._data.region}.amazonaws.com" for service in ("dynamodb", "sqs", "sns", "s3")
        ]
        self.add_to_role_policy(
            iam.PolicyStatement(
                actions=[*USE_OF_KEY],
                resources=[self._data.key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": services}},
            )
        )


def source_of(route: QueueRoute, data: Data) -> SqsEventSource:
    """Return a queue as the source of its function's events."""
    return SqsEventSource(
        data.queues[route.name],
        batch_size=route.batch,
        report_batch_item_failures=True,
        max_concurrency=route.max_concurrency,
    )


def _code(name: str) -> lambda_.Code:
    """Return the package `functions` with this function alone, so that names are the same everywhere."""
    others = ["/*", "!/functions", "/functions/*"]
    own = ["!/functions/*.py", f"!/functions/{name}", "__pycache__"]
    return lambda_.Code.from_asset(str(ROOT), exclude=[*others, *own], ignore_mode=cdk.IgnoreMode.GIT)
