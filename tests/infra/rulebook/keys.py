"""Key policies: what each service that uses a key needs."""

from collections.abc import Iterator
from typing import Any

from tests.infra.conftest import Stacks, Template
from tests.infra.rulebook import fault, rule
from tests.infra.rulebook.templates import definition, listed, of_type, references, resources

CLOUDTRAIL = "cloudtrail.amazonaws.com"


def grants_of(key: dict[str, Any], service: str) -> Iterator[dict[str, Any]]:
    """Yield the statements of a key policy that allow a service something."""
    for statement in key["KeyPolicy"]["Statement"]:
        named = listed(statement["Principal"].get("Service", []))
        if statement["Effect"] == "Allow" and service in named:
            yield statement


def conditions_of(statement: dict[str, Any]) -> set[str]:
    """Return the condition keys of a statement."""
    return {key for operator in statement.get("Condition", {}).values() for key in operator}


@rule
def cloudtrail_may_encrypt_with_its_key_and_describe_it(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html

    A trail to a bucket with a bucket key needs kms:Decrypt too. DescribeKey has no encryption context, so a
    condition on one denies it.
    """
    for name, trail in of_type(stacks, "AWS::CloudTrail::Trail"):
        key = definition(stacks, "audit", trail["KMSKeyId"])["Properties"]
        grants = list(grants_of(key, CLOUDTRAIL))
        allowed = {action for grant in grants for action in listed(grant["Action"])}
        if missing := {"kms:GenerateDataKey*", "kms:Decrypt", "kms:DescribeKey"} - allowed:
            yield f"{name}: the key policy lacks {', '.join(sorted(missing))}"
        for grant in grants:
            if "kms:DescribeKey" in listed(grant["Action"]) and conditions_of(grant) - {"aws:SourceArn"}:
                yield f"{name}: DescribeKey is under a condition that it never meets"


@fault(cloudtrail_may_encrypt_with_its_key_and_describe_it)
def one_statement_for_all_actions_of_cloudtrail(templates: dict[str, Template]) -> None:
    for resource in templates["audit"]["Resources"].values():
        if resource["Type"] == "AWS::KMS::Key":
            describe = next(iter(grants_of(resource["Properties"], CLOUDTRAIL)))
            describe["Action"] = ["kms:GenerateDataKey*", "kms:DescribeKey"]
            describe["Condition"]["StringLike"] = {"kms:EncryptionContext:aws:cloudtrail:arn": "*"}


@fault(cloudtrail_may_encrypt_with_its_key_and_describe_it)
def cloudtrail_may_not_decrypt(templates: dict[str, Template]) -> None:
    for resource in templates["audit"]["Resources"].values():
        if resource["Type"] == "AWS::KMS::Key":
            for grant in grants_of(resource["Properties"], CLOUDTRAIL):
                grant["Action"] = [action for action in listed(grant["Action"]) if action != "kms:Decrypt"]


def notified(stacks: Stacks) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield a service, what it sends to, and the key of that, for every encrypted queue and topic."""
    for stack, _, resource in resources(stacks):
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::S3::Bucket":
            sent = properties.get("NotificationConfiguration", {}).get("QueueConfigurations", ())
            for queue in (definition(stacks, stack, each["Queue"]) for each in sent):
                key = definition(stacks, stack, queue["Properties"]["KmsMasterKeyId"])
                yield "s3.amazonaws.com", "a queue", key["Properties"]
        elif resource["Type"] in ("AWS::CloudWatch::Alarm", "AWS::Budgets::Budget"):
            for topic in topics_of(stacks, stack, properties):
                if "KmsMasterKeyId" in topic:
                    key = definition(stacks, stack, topic["KmsMasterKeyId"])
                    service = resource["Type"].split("::")[1].lower()
                    yield f"{service}.amazonaws.com", "a topic", key["Properties"]


def topics_of(stacks: Stacks, stack: str, properties: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the topics of a stack that an alarm or a budget notifies."""
    for _, name in references(properties):
        target = stacks.templates[stack]["Resources"].get(name if isinstance(name, str) else name[0], {})
        if target.get("Type") == "AWS::SNS::Topic":
            yield target["Properties"]


@rule
def services_may_send_to_encrypted_queues_and_topics(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html

    S3, CloudWatch and Budgets need the key of the destination. No page says that they pass
    `aws:SourceAccount` to KMS, so the key policy works without it; the policy of the queue or topic restricts
    the account.
    """
    for service, what, key in notified(stacks):
        grants = list(grants_of(key, service))
        allowed = {action for grant in grants for action in listed(grant["Action"])}
        if not {"kms:GenerateDataKey", "kms:Decrypt"} <= allowed:
            yield f"{service} may not encrypt for {what}"
        if any("Condition" in grant for grant in grants):
            yield f"{service} may not meet the condition of the key of {what}"


@fault(services_may_send_to_encrypted_queues_and_topics)
def a_condition_that_s3_may_not_meet(templates: dict[str, Template]) -> None:
    for grant in key_grants(templates, "s3.amazonaws.com"):
        grant["Condition"] = {"StringEquals": {"aws:SourceAccount": "000000000000"}}


@fault(services_may_send_to_encrypted_queues_and_topics)
def a_key_without_alarms(templates: dict[str, Template]) -> None:
    for grant in key_grants(templates, "cloudwatch.amazonaws.com"):
        grant["Principal"]["Service"] = ["s3.amazonaws.com"]


def key_grants(templates: dict[str, Template], service: str) -> list[dict[str, Any]]:
    """Return the statements of the data key for a service."""
    keys = [
        resource["Properties"]
        for resource in templates["data"]["Resources"].values()
        if resource["Type"] == "AWS::KMS::Key"
    ]
    return [grant for key in keys for grant in grants_of(key, service)]


@rule
def access_logs_of_s3_are_not_encrypted_with_a_key(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html

    S3 delivers server access logs only to buckets with the encryption of S3 itself (SSE-S3).
    """
    for stack, name, resource in resources(stacks):
        target = resource.get("Properties", {}).get("LoggingConfiguration", {}).get("DestinationBucketName")
        if resource["Type"] == "AWS::S3::Bucket" and target:
            (encryption,) = definition(stacks, stack, target)["Properties"]["BucketEncryption"][
                "ServerSideEncryptionConfiguration"
            ]
            if encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] != "AES256":
                yield f"{name}: S3 cannot write its access log"


@fault(access_logs_of_s3_are_not_encrypted_with_a_key)
def an_encrypted_access_log(templates: dict[str, Template]) -> None:
    for resource in templates["data"]["Resources"].values():
        if resource["Type"] == "AWS::S3::Bucket":
            (encryption,) = resource["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] = "aws:kms"


def rights_of(stacks: Stacks, stack: str, role: str, service: str) -> Iterator[tuple[str, str]]:
    """Yield action and resource of the rights of a role in a service, from the policies of its stack."""
    for policy in stacks.templates[stack]["Resources"].values():
        if policy["Type"] != "AWS::IAM::Policy" or {"Ref": role} not in policy["Properties"]["Roles"]:
            continue
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            for action in listed(statement["Action"]) if statement["Effect"] == "Allow" else ():
                if action.startswith(f"{service}:"):
                    yield from ((action, stacks.text(each)) for each in listed(statement["Resource"]))


@rule
def iot_rules_may_encrypt_for_their_queues(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html

    The role of a rule's action, and of its error action, needs the key of the queue that it sends to.
    """
    queues = stacks.of_type("AWS::SQS::Queue")
    for stack, name, resource in resources(stacks):
        if resource["Type"] == "AWS::IoT::TopicRule":
            payload = resource["Properties"]["TopicRulePayload"]
            for sent in (action["Sqs"] for action in (*payload["Actions"], payload["ErrorAction"])):
                key = stacks.text(queues[stacks.text(sent["QueueUrl"])]["KmsMasterKeyId"])
                rights = set(rights_of(stacks, stack, stacks.text(sent["RoleArn"]), "kms"))
                if missing := {("kms:GenerateDataKey", key), ("kms:Decrypt", key)} - rights:
                    yield f"{name}: its role lacks {sorted(action for action, _ in missing)}"


@fault(iot_rules_may_encrypt_for_their_queues)
def iot_rules_without_the_key(templates: dict[str, Template]) -> None:
    for resource in templates["iot"]["Resources"].values():
        if resource["Type"] == "AWS::IAM::Policy":
            document = resource["Properties"]["PolicyDocument"]
            document["Statement"] = [
                each
                for each in document["Statement"]
                if not any(action.startswith("kms:") for action in listed(each["Action"]))
            ]


@rule
def consumers_may_decrypt_their_queues(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html

    Lambda polls a queue with the role of the function, which needs the key of an encrypted queue.
    """
    queues = stacks.of_type("AWS::SQS::Queue")
    roles = {
        function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]: (
            stack,
            stacks.text(function["Role"]),
        )
        for stack, _, resource in resources(stacks)
        if resource["Type"] == "AWS::Lambda::Function"
        and "Environment" in (function := resource["Properties"])
    }
    for _, source in of_type(stacks, "AWS::Lambda::EventSourceMapping"):
        name = stacks.function_of(source["FunctionName"])
        key = stacks.text(queues[stacks.text(source["EventSourceArn"])]["KmsMasterKeyId"])
        if ("kms:Decrypt", key) not in set(rights_of(stacks, *roles[name], "kms")):
            yield f"{name} may not decrypt its queue"


@fault(consumers_may_decrypt_their_queues)
def a_consumer_without_the_key(templates: dict[str, Template]) -> None:
    iot_rules_without_the_key(templates)
