"""A Lambda function of the platform with its own role, and methods that grant permissions."""

from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_lambda_event_sources import SqsEventSource
from constructs import Construct

from anc.tables import FEED_INDEX, GROUP_INDEX, variable
from functions.routes import CONSUMER_TIMEOUTS_S, QUEUES
from infra.acknowledgements import acknowledge, acknowledge_wildcard
from infra.canary import Canary
from infra.data import Data
from infra.environment import Environment
from infra.inference import endpoint_name
from infra.layer import ARCHITECTURE, RUNTIME, Layers
from infra.logs import LogGroup
from infra.wheels import ROOT

ONE_CORE_MB = 1769

READ = ("dynamodb:GetItem",)
QUERY = "dynamodb:Query"
READ_MANY = ("dynamodb:BatchGetItem",)
LIST = (QUERY, *READ_MANY)
LIST_ALL = (QUERY,)  # the records of all groups; with LIST
WRITE = ("dynamodb:PutItem",)
DELETE = ("dynamodb:DeleteItem",)
ADD = ("dynamodb:UpdateItem",)
READ_FILE = ("s3:GetObject",)
WRITE_FILE = ("s3:PutObject",)
ABANDON_PARTS = ("s3:AbortMultipartUpload",)
WRITE_PARTS = ("s3:PutObject", *ABANDON_PARTS, "s3:ListMultipartUploadParts")
DELETE_FILE = ("s3:DeleteObject",)
KEY_ACTIONS = ("kms:DescribeKey", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")


class PlatformFunction(lambda_.Function):
    """The function with the handler in `functions/{name}`.

    By default it may only write its log, traces and counters.

    Parameters
    ----------
    data : Data
    name : str
        Folder in `functions`.
    layers : Layers
    environment : Environment
    memory_mb : int
        1,769 MB correspond to one core.
    timeout_s : int
        Longer than the retries of its calls (`anc.aws.clients`), shorter than the caller's timeout. The
        consumers of queues have those of the table of routes.
    decodes : bool
        Whether it decodes sound files, for which it gets a second layer.
    may_loop : bool
        Whether it may send messages to its own queue without end, which Lambda stops otherwise.
    variables : mapping
        Additional environment variables.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        data: Data,
        layers: Layers,
        environment: Environment,
        memory_mb: int = 512,
        timeout_s: int = 10,
        decodes: bool = False,
        may_loop: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        log = LogGroup(scope, f"{name}_log", environment, data.key)
        role = iam.Role(scope, f"{name}_role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        super().__init__(
            scope,
            name,
            code=_code(name),
            handler=f"functions.{name}.handler.handler",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            layers=[layers.base, layers.sound] if decodes else [layers.base],
            role=role,
            log_group=log,
            **_log_levels(environment),
            tracing=_tracing(name, environment),
            memory_size=memory_mb,
            reserved_concurrent_executions=environment.concurrency.reservation(name),
            timeout=cdk.Duration.seconds(CONSUMER_TIMEOUTS_S.get(name, timeout_s)),
            recursive_loop=lambda_.RecursiveLoop.ALLOW if may_loop else None,
            environment={
                "POWERTOOLS_SERVICE_NAME": name,
                "POWERTOOLS_METRICS_NAMESPACE": environment.metrics,
                "POWERTOOLS_LOG_LEVEL": environment.log_level,
                "OPENBLAS_NUM_THREADS": "1",  # it would use the number of the host's cores
                **environment.limits,
                **(variables or {}),
            },
        )
        acknowledge(self, "AwsSolutions-L1", "The layer is locked and tested for this version.")
        acknowledge_wildcard(role, "*", "X-Ray actions do not support resources.")
        self._name = name
        self._role = role
        self._data = data
        self._environment = environment
        log.grant_write(role)
        self._may_use_key()
        self.may_use("counters", ADD)

    def consume(self, *, gradual: bool = False) -> None:
        """Invoke it with the messages of its queues in the table of routes.

        `gradual`: new versions get a tenth of the messages first.
        """
        routes = [route for route in QUEUES if route.function == self._name]
        target: lambda_.IFunction = self
        if gradual:
            ages = {
                route.name: self._data.queues[route.name].metric_approximate_age_of_oldest_message(
                    period=cdk.Duration.minutes(1)
                )
                for route in routes
            }
            target = Canary(
                cdk.Stack.of(self), f"{self._name}_live", self, self._environment, queue_ages=ages
            ).alias
        for route in routes:
            source = SqsEventSource(
                self._data.queues[route.name],
                batch_size=route.batch,
                report_batch_item_failures=True,
                max_concurrency=self._environment.concurrency.of_queue(route),
                max_batching_window=cdk.Duration.seconds(route.window_s),
            )
            target.add_event_source(source)

    def may_use(self, table: str, *rights: Sequence[str]) -> None:
        """Grant rights on a table and set the variable with its name."""
        resource = self._data.tables[table]
        actions = [action for right in rights for action in right if action != QUERY]
        self.may(actions, resource.table_arn)
        if LIST in rights:
            self.may([QUERY], f"{resource.table_arn}/index/{GROUP_INDEX}")
        if LIST_ALL in rights:
            self.may([QUERY], f"{resource.table_arn}/index/{FEED_INDEX}")
        self.add_environment(variable(table), resource.table_name)

    def may_use_files(self, prefix: str, *rights: Sequence[str]) -> None:
        """Grant rights on the files below a prefix and set the variable with the bucket's name."""
        bucket = self._data.export_value(self._data.objects.bucket_arn)
        actions = sorted({action for right in rights for action in right})
        self.may(actions, f"{bucket}/{prefix}*", "File names start with the id of their job.")
        self.may(["s3:ListBucket"], bucket)  # without it S3 answers 403, not 404, when a file is absent
        self.add_environment("OBJECTS_BUCKET", self._data.objects.bucket_name)

    def may_send(self, queue: str) -> None:
        """Grant sending to a queue and set the variable with its URL."""
        resource = self._data.queues[queue]
        self.may(["sqs:SendMessage"], resource.queue_arn)
        self.add_environment(f"{queue.upper()}_QUEUE_URL", resource.queue_url)

    def may_raise_the_alarm(self) -> None:
        """Grant storing and publishing emergencies."""
        self.may_use("emergencies", WRITE)
        self.may(["sns:Publish"], self._data.alerts.topic_arn)
        self.add_environment("ALERTS_TOPIC", self._data.alerts.topic_arn)

    def knows_endpoint(self) -> bool:
        """Set the variable with the endpoint's name; return whether there is an endpoint."""
        if self._environment.endpoint == "none":
            return False
        self.add_environment("ML_ENDPOINT_NAME", endpoint_name(self._environment))
        return True

    def may(self, actions: Sequence[str], resource: str, wildcard_reason: str = "") -> None:
        """Grant actions on a resource; a resource with a wildcard needs a reason for cdk-nag."""
        self.add_to_role_policy(iam.PolicyStatement(actions=[*actions], resources=[resource]))
        if wildcard_reason:
            acknowledge_wildcard(self._role, resource, wildcard_reason)

    def _may_use_key(self) -> None:
        """Grant use of the key through the data services only, not directly."""
        services = [
            f"{service}.{self._data.region}.amazonaws.com" for service in ("dynamodb", "sqs", "sns", "s3")
        ]
        self.add_to_role_policy(
            iam.PolicyStatement(
                actions=[*KEY_ACTIONS],
                resources=[self._data.key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": services}},
            )
        )


def _log_levels(environment: Environment) -> dict[str, Any]:
    """Return that Lambda logs calls that fail, but not start and end of each call, unless debugging.

    The application's level must not be above INFO: Lambda takes metrics, which have no level, for INFO.
    """
    if environment.log_level == "DEBUG":
        application, system = lambda_.ApplicationLogLevel.DEBUG, lambda_.SystemLogLevel.INFO
    else:
        application, system = lambda_.ApplicationLogLevel.INFO, lambda_.SystemLogLevel.WARN
    return {
        "logging_format": lambda_.LoggingFormat.JSON,
        "application_log_level_v2": application,
        "system_log_level_v2": system,
    }


def _tracing(name: str, environment: Environment) -> lambda_.Tracing:
    """Return that a function is traced if its caller is, or begins the traces of snapshots.

    X-Ray's rules govern API Gateway, but not the fixed rate at which Lambda samples calls from queues and
    sockets, one a second and 5 % of the rest. From the first function on, SQS passes the trace to the next.
    """
    begins = environment.traces == "on" and name == "anc_processor"
    return lambda_.Tracing.ACTIVE if begins else lambda_.Tracing.PASS_THROUGH


def _code(name: str) -> lambda_.Code:
    """Return the package `functions` with only this function, so that module names stay the same."""
    others = ["/*", "!/functions", "/functions/*"]
    own = ["!/functions/*.py", f"!/functions/{name}", "__pycache__"]
    return lambda_.Code.from_asset(str(ROOT), exclude=[*others, *own], ignore_mode=cdk.IgnoreMode.GIT)
