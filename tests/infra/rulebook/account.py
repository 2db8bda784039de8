"""Settings of the whole account, and what depends on them."""

from collections.abc import Iterator

from tests.infra.conftest import Stacks, Template
from tests.infra.rulebook import fault, rule
from tests.infra.rulebook.templates import imports, references, resources

SETTINGS = ("AWS::ApiGateway::Account", "AWS::IoT::Logging", "AWS::IoT::EncryptionConfiguration")
SETTINGS_STACK = "account"
STAGES = ("AWS::ApiGateway::Stage", "AWS::ApiGatewayV2::Stage")


@rule
def settings_of_the_account_are_in_a_stack_of_their_own(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-apigateway-account.html

    There is one of each in an account and region: deleting one environment must not delete it for the others.
    """
    for stack, name, resource in resources(stacks):
        if resource["Type"] in SETTINGS and stack != SETTINGS_STACK:
            yield f"{name} is in the stack {stack}, which belongs to one environment"
    for logical, resource in stacks.templates.get(SETTINGS_STACK, {"Resources": {}})["Resources"].items():
        if resource["Type"] not in (*SETTINGS, "AWS::IAM::Role", "AWS::IAM::Policy", "AWS::Logs::LogGroup"):
            yield f"{logical} is in the stack of the account, but is no setting of an account"


@fault(settings_of_the_account_are_in_a_stack_of_their_own)
def the_log_role_of_api_gateway_belongs_to_an_environment(templates: dict[str, Template]) -> None:
    templates["api"]["Resources"]["account"] = {"Type": "AWS::ApiGateway::Account", "Properties": {}}


@rule
def stages_with_logs_need_the_log_role_of_the_account(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-apigateway-account.html

    Without the role, API Gateway refuses to create a stage that logs, also one of a WebSocket API.
    """
    exported = {
        output["Export"]["Name"]
        for template in stacks.templates.values()
        for output in template.get("Outputs", {}).values()
        if "Export" in output
        for kind, name in references(output["Value"])
        if kind == "Ref" and template["Resources"].get(name, {}).get("Type") == "AWS::ApiGateway::Account"
    }
    for stack, name, resource in resources(stacks):
        if resource["Type"] in STAGES:
            own = stacks.templates[stack]["Resources"]
            before = {own[other]["Type"] for other in resource.get("DependsOn", ())}
            if "AWS::ApiGateway::Account" not in before and not exported & imports(stacks.templates[stack]):
                yield f"{name} may be created before the account's log role is set"


@fault(stages_with_logs_need_the_log_role_of_the_account)
def stages_without_the_setting(templates: dict[str, Template]) -> None:
    templates["account"]["Outputs"] = {}
