"""Deletion: what must be empty or unused first, and what is protected."""

from collections.abc import Iterator

from infra.teardown import HANDLED
from tests.infra.conftest import Stacks, Template
from tests.infra.rulebook import fault, rule
from tests.infra.rulebook.templates import resources

# Sources: the page of DeletePolicy, and those of DeleteThingType, DeleteThingGroup, DeleteBucket,
# DeleteRepository, DeleteBackupVault and DeleteTable in the API references.
BLOCKED = {
    "AWS::S3::Bucket",
    "AWS::IoT::Policy",
    "AWS::IoT::ThingType",
    "AWS::IoT::ThingGroup",
    "AWS::IoT::BillingGroup",
    "AWS::ECR::Repository",
    "AWS::Backup::BackupVault",
    "AWS::Cognito::UserPoolDomain",
}
PROTECTION = ("DeletionProtection", "DeletionProtectionEnabled")


@rule
def what_blocks_its_deletion_is_removed_before(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/iot/latest/apireference/API_DeletePolicy.html

    CloudFormation deletes no policy that is attached, no thing type that is in use and no bucket with
    objects.
    """
    for _, name, resource in resources(stacks):
        retained = resource.get("DeletionPolicy", "").startswith("Retain")
        if resource["Type"] in BLOCKED - HANDLED and not retained:
            yield f"{name}: make destroy does not empty {resource['Type']}"


@fault(what_blocks_its_deletion_is_removed_before)
def a_repository(templates: dict[str, Template]) -> None:
    templates["data"]["Resources"]["images"] = {"Type": "AWS::ECR::Repository"}


@rule
def what_is_protected_is_retained(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithTables.Basics.html

    A protected table or user pool cannot be deleted: its stack would fail.
    """
    for _, name, resource in resources(stacks):
        text = str(resource.get("Properties", {}))
        protected = any(
            f"'{option}': {value}" in text for option in PROTECTION for value in ("True", "'ACTIVE'")
        )
        if protected and not resource.get("DeletionPolicy", "").startswith("Retain"):
            yield f"{name} is protected, but deleted with its stack"


@fault(what_is_protected_is_retained)
def a_protected_table_that_is_deleted(templates: dict[str, Template]) -> None:
    for resource in templates["data"]["Resources"].values():
        if resource["Type"] == "AWS::DynamoDB::GlobalTable":
            resource["DeletionPolicy"] = "Delete"
