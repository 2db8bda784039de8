"""Audit access to stored audio with CloudTrail data events."""

import aws_cdk as cdk
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.data import Data
from infra.environment import Environment

# Dead-letter queues with audio that operators may read. Queues that only functions read are excluded: one
# record per snapshot would cost more than the snapshots and identify no user.
AUDITED_DEAD_LETTERS = ("snapshots", "reclassifications")
RETENTION = cdk.Duration.days(400)  # a year, plus time for an inquiry


class Audit(cdk.Stack):
    """The trail, its bucket and its own key, so that access to audio does not include access to the trail."""

    def __init__(self, scope: Construct, id: str, environment: Environment, data: Data) -> None:
        super().__init__(scope, id, env=environment.target)
        self._name = f"anc-{environment.name}"
        trail_arn = self.format_arn(service="cloudtrail", resource="trail", resource_name=self._name)
        key = self._key(environment, trail_arn)
        records = self._bucket(environment, key)
        self._grant_write(records, trail_arn)
        dead = [data.dead_letters[name].queue_arn for name in AUDITED_DEAD_LETTERS]
        sound = data.export_value(data.objects.bucket_arn)
        trail = cloudtrail.CfnTrail(
            self,
            "trail",
            trail_name=self._name,
            s3_bucket_name=records.bucket_name,
            kms_key_id=key.key_arn,
            is_logging=True,
            enable_log_file_validation=True,
            include_global_service_events=False,
            advanced_event_selectors=[
                _selector("recordings", "AWS::S3::Object", starts_with=[f"{sound}/"]),
                _selector("what failed", "AWS::SQS::Queue", equals=dead),
            ],
        )
        trail.node.add_dependency(records)
        cdk.CfnOutput(self, "Trail", value=records.bucket_name)

    def _key(self, environment: Environment, trail_arn: str) -> kms.Key:
        key = kms.Key(
            self,
            "key",
            description="Who touched sound of the ANC Platform",
            enable_key_rotation=True,
            removal_policy=environment.removal,
        )
        self._grant_key(key, ["kms:DescribeKey"], {"StringEquals": {"aws:SourceArn": trail_arn}})
        context = f"arn:{self.partition}:cloudtrail:*:{self.account}:trail/*"
        self._grant_key(
            key,
            ["kms:GenerateDataKey*", "kms:Decrypt"],  # Decrypt because of the bucket key
            {
                "StringEquals": {"aws:SourceArn": trail_arn},
                "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": context},
            },
        )
        return key

    @staticmethod
    def _grant_key(key: kms.Key, actions: list[str], conditions: dict[str, dict[str, str]]) -> None:
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudtrail.amazonaws.com")],
                actions=actions,
                resources=["*"],  # in a key policy: this key
                conditions=conditions,
            )
        )

    def _bucket(self, environment: Environment, key: kms.Key) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "records",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            versioned=True,
            lifecycle_rules=[
                s3.LifecycleRule(expiration=RETENTION, noncurrent_version_expiration=cdk.Duration.days(30))
            ],
            removal_policy=environment.removal,
        )
        acknowledge(bucket, "AwsSolutions-S1", "This bucket stores access records, with digests.")
        return bucket

    def _grant_write(self, bucket: s3.Bucket, trail_arn: str) -> None:
        cloudtrail_service = iam.ServicePrincipal("cloudtrail.amazonaws.com")
        this_trail = {"aws:SourceArn": trail_arn}
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[cloudtrail_service],
                actions=["s3:GetBucketAcl"],
                resources=[bucket.bucket_arn],
                conditions={"StringEquals": this_trail},
            )
        )
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[cloudtrail_service],
                actions=["s3:PutObject"],
                resources=[bucket.arn_for_objects(f"AWSLogs/{self.account}/*")],
                conditions={"StringEquals": this_trail | {"s3:x-amz-acl": "bucket-owner-full-control"}},
            )
        )


def _selector(
    name: str, kind: str, *, starts_with: list[str] | None = None, equals: list[str] | None = None
) -> cloudtrail.CfnTrail.AdvancedEventSelectorProperty:
    field = cloudtrail.CfnTrail.AdvancedFieldSelectorProperty
    return cloudtrail.CfnTrail.AdvancedEventSelectorProperty(
        name=name,
        field_selectors=[
            field(field="eventCategory", equal_to=["Data"]),
            field(field="resources.type", equal_to=[kind]),
            field(field="resources.ARN", starts_with=starts_with, equal_to=equals),
        ],
    )
