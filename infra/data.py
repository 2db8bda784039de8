"""Persistent data: tables, files, queues, and their encryption key."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from anc.tables import EXPIRY_ATTRIBUTE, FEED_INDEX, FEEDS, GROUP_INDEX, TABLE_NAMES
from functions.routes import ARRIVALS, QUEUES, QueueRoute
from infra.acknowledgements import acknowledge
from infra.environment import Environment
from infra.logs import grant_key_to_logs

RECORDING_RETENTION = cdk.Duration.days(30)
# Snapshots contain audio: failed ones are kept over a weekend, and no longer. SQS counts retention from the
# first send, so the dead-letter queue has one day more than the queue.
QUEUE_RETENTION, DEAD_LETTER_RETENTION = cdk.Duration.days(3), cdk.Duration.days(4)
RESULTS = "results/"
SECRET_LENGTH = 40  # of 62 characters: 238 bits
NOTIFYING_SERVICES = ("s3", "cloudwatch", "budgets")


class Data(cdk.Stack):
    """The stack that is kept when the others are replaced.

    Attributes
    ----------
    tables : dict of str to TableV2
    objects : Bucket
    queues, dead_letters : dict of str to Queue
    alerts : Topic
        Receives emergencies.
    origin_secret : str
        Reference to the secret with which CloudFront proves that a request came through it.
    key : Key
    """

    def __init__(self, scope: Construct, id: str, environment: Environment) -> None:
        super().__init__(scope, id, env=environment.target)
        self.key = kms.Key(
            self,
            "key",
            description="ANC Platform data",
            enable_key_rotation=True,
            removal_policy=environment.removal,
        )
        self.tables = {name: self._table(name, environment) for name in TABLE_NAMES}
        self.objects = self._bucket(environment)
        self.queues: dict[str, sqs.Queue] = {}
        self.dead_letters: dict[str, sqs.Queue] = {}
        for route in QUEUES:
            self._queue(route, environment)
        self._notify_arrivals()
        self._grant_key_to_services()
        grant_key_to_logs(self.key)
        self.origin_secret = self._origin_secret()
        self.alerts = sns.Topic(self, "alerts", master_key=self.key, enforce_ssl=True)
        self._export_in_order()
        cdk.CfnOutput(self, "ObjectsBucket", value=self.objects.bucket_name)
        cdk.CfnOutput(self, "AlertsTopic", value=self.alerts.topic_arn)

    def _export_in_order(self) -> None:
        """Export the ARNs that policies of other stacks use, in a fixed order.

        Otherwise the order differs between syntheses: CDK sorts policy resources by tokens with random
        numbers.
        """
        for table in self.tables.values():
            self.export_value(table.table_arn)
        for queue in self.queues.values():
            self.export_value(queue.queue_arn)

    def _table(self, name: str, environment: Environment) -> dynamodb.TableV2:
        text = dynamodb.AttributeType.STRING
        indexes = {GROUP_INDEX: "group"} | ({FEED_INDEX: "shard"} if name in FEEDS else {})
        return dynamodb.TableV2(
            self,
            name,
            partition_key=dynamodb.Attribute(name="key", type=text),
            global_secondary_indexes=[
                dynamodb.GlobalSecondaryIndexPropsV2(
                    index_name=index,
                    partition_key=dynamodb.Attribute(name=attribute, type=text),
                    sort_key=dynamodb.Attribute(name="key", type=text),
                    projection_type=dynamodb.ProjectionType.KEYS_ONLY,
                )
                for index, attribute in indexes.items()
            ],
            billing=dynamodb.Billing.on_demand(),
            time_to_live_attribute=EXPIRY_ATTRIBUTE,
            encryption=dynamodb.TableEncryptionV2.customer_managed_key(self.key),
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=environment.kept,
            removal_policy=environment.removal,
        )

    def _bucket(self, environment: Environment) -> s3.Bucket:
        logs = s3.Bucket(
            self,
            "objects_log",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            lifecycle_rules=[s3.LifecycleRule(expiration=cdk.Duration.days(90))],
            removal_policy=environment.removal,
        )
        return s3.Bucket(
            self,
            "objects",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            server_access_logs_bucket=logs,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=RECORDING_RETENTION,
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
            removal_policy=environment.removal,
        )

    def _notify_arrivals(self) -> None:
        """Send S3 notifications of new files to the queue, without CDK's custom resource function."""
        queue, s3_service = self.queues[ARRIVALS.queue], iam.ServicePrincipal("s3.amazonaws.com")
        # The bucket depends on this policy, so the policy names the account instead of the bucket.
        this_account = {"StringEquals": {"aws:SourceAccount": self.account}}
        allowed = queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[s3_service],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions=this_account,
            )
        )
        bucket = self.objects.node.default_child
        assert isinstance(bucket, s3.CfnBucket)
        bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[
                s3.CfnBucket.QueueConfigurationProperty(
                    event="s3:ObjectCreated:*",
                    queue=queue.queue_arn,
                    filter=s3.CfnBucket.NotificationFilterProperty(
                        s3_key=s3.CfnBucket.S3KeyFilterProperty(
                            rules=[s3.CfnBucket.FilterRuleProperty(name="prefix", value=ARRIVALS.prefix)]
                        )
                    ),
                )
            ]
        )
        if allowed.policy_dependable:
            self.objects.node.add_dependency(allowed.policy_dependable)

    def _grant_key_to_services(self) -> None:
        """Let AWS services send notifications of files, alarms and costs to encrypted queues and topics.

        Without a condition, because none is documented for these calls. Queue and topics name the account.
        """
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(f"{name}.amazonaws.com") for name in NOTIFYING_SERVICES],
                actions=["kms:GenerateDataKey", "kms:Decrypt"],
                resources=["*"],  # in a key policy: this key
            )
        )

    def _origin_secret(self) -> str:
        secret = secretsmanager.Secret(
            self,
            "origin_secret",
            description="Proves that a request came through the console's distribution",
            encryption_key=self.key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                exclude_punctuation=True, password_length=SECRET_LENGTH
            ),
            removal_policy=cdk.RemovalPolicy.DESTROY,  # a new one is as good
        )
        acknowledge(secret, "AwsSolutions-SMG4", "A new value must reach the distribution and the functions.")
        arn = self.export_value(secret.secret_arn)
        return f"{{{{resolve:secretsmanager:{arn}:SecretString:::}}}}"

    def _queue(self, route: QueueRoute, environment: Environment) -> None:
        dead = self._encrypted_queue(f"{route.name}_dead", DEAD_LETTER_RETENTION)
        self.dead_letters[route.name] = dead
        cdk.CfnOutput(self, f"{route.name}DeadLetters", value=dead.queue_url)
        self.queues[route.name] = queue = self._encrypted_queue(
            route.name,
            QUEUE_RETENTION,
            visibility_timeout=cdk.Duration.seconds(route.visibility_s),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=dead, max_receive_count=environment.concurrency.max_receives(route)
            ),
        )
        cdk.CfnOutput(self, f"{route.name}Queue", value=queue.queue_url)

    def _encrypted_queue(self, id: str, retention: cdk.Duration, **options: Any) -> sqs.Queue:
        return sqs.Queue(
            self,
            id,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=self.key,
            data_key_reuse=cdk.Duration.hours(1),
            enforce_ssl=True,
            retention_period=retention,
            **options,
        )
