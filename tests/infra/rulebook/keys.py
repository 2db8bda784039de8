"""Key policies: what each service that uses a key needs."""

from collections.abc import Iterator
from typing import Any

from tests.infra.conftest import Stacks, Template
from tests.infra.rulebook import fault, rule
from tests.infra.rulebook.templates import listed, of_type

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
        key = stacks.of_type("AWS::KMS::Key")[stacks.text(trail["KMSKeyId"])]
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
