"""Logs and traces: where services write them, with which key, and which of them are sampled."""

from collections.abc import Iterator

from tests.infra.conftest import Stacks, Template
from tests.infra.rulebook import fault, rule
from tests.infra.rulebook.keys import grants_of
from tests.infra.rulebook.templates import definition, listed, of_type, resources

LOGS = "logs.eu-central-1.amazonaws.com"
KEY_USE = {"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"}
LOG_ARN = "kms:EncryptionContext:aws:logs:arn"


@rule
def log_groups_have_the_key_of_the_deployment(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html

    CloudWatch Logs refuses a key whose policy does not name the service of the region, for these log groups.
    """
    for stack, name, resource in resources(stacks):
        if resource["Type"] != "AWS::Logs::LogGroup" or stack == "account":
            continue
        group = resource["Properties"]
        if "RetentionInDays" not in group:
            yield f"{name} is kept forever"
        if "KmsKeyId" not in group:
            yield f"{name} has no key"
            continue
        key = definition(stacks, stack, group["KmsKeyId"])["Properties"]
        grants = list(grants_of(key, LOGS))
        if not {action for grant in grants for action in listed(grant["Action"])} >= KEY_USE:
            yield f"{name}: CloudWatch Logs may not use its key"
        for grant in grants:
            if set(grant["Condition"]) != {"ArnLike"} or set(grant["Condition"]["ArnLike"]) != {LOG_ARN}:
                yield f"{name}: its key has a condition that CloudWatch Logs does not meet"


@fault(log_groups_have_the_key_of_the_deployment)
def a_log_group_without_key(templates: dict[str, Template]) -> None:
    for resource in templates["api"]["Resources"].values():
        if resource["Type"] == "AWS::Logs::LogGroup":
            del resource["Properties"]["KmsKeyId"]


@fault(log_groups_have_the_key_of_the_deployment)
def a_key_policy_with_the_account_as_condition(templates: dict[str, Template]) -> None:
    for resource in templates["data"]["Resources"].values():
        if resource["Type"] == "AWS::KMS::Key":
            for grant in grants_of(resource["Properties"], LOGS):
                grant["Condition"] = {"StringEquals": {"aws:SourceAccount": "000000000000"}}


@rule
def groups_that_a_service_would_create_belong_to_a_stack(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-execution-logging.html

    API Gateway and SageMaker create missing log groups, without retention and key; they outlive the stacks.
    """
    for stack, name, resource in resources(stacks):
        properties = resource.get("Properties", {})
        settings = properties.get("MethodSettings", ())
        wanted = ""
        if resource["Type"] == "AWS::ApiGateway::Stage" and any(
            setting.get("LoggingLevel", "OFF") != "OFF" for setting in settings
        ):
            api = stacks.text(properties["RestApiId"])
            wanted = f"API-Gateway-Execution-Logs_{api}/{properties['StageName']}"
        elif resource["Type"] == "AWS::SageMaker::Endpoint":
            wanted = f"/aws/sagemaker/Endpoints/{properties['EndpointName']}"
        if wanted:
            own = stacks.templates[stack]["Resources"]
            before = [own[other] for other in resource.get("DependsOn", ())]
            names = [
                stacks.text(other["Properties"].get("LogGroupName", ""))
                for other in before
                if other["Type"] == "AWS::Logs::LogGroup"
            ]
            if wanted not in names:
                yield f"{name} creates the log group {wanted}"


@fault(groups_that_a_service_would_create_belong_to_a_stack)
def a_stage_that_creates_its_log_group(templates: dict[str, Template]) -> None:
    for resource in templates["api"]["Resources"].values():
        if resource["Type"] == "AWS::ApiGateway::Stage":
            resource["DependsOn"] = []


@rule
def functions_log_their_metrics_but_not_each_call(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html

    A level needs the format JSON. Lambda takes output without a level, such as metrics, for INFO and drops it
    if the application's level is above. Start and report of a call that succeeds are INFO as well; reports of
    failed calls are WARN.
    """
    for name, function in stacks.functions().items():
        logs = function.get("LoggingConfig", {})
        if logs.get("LogFormat") != "JSON":
            yield f"{name} cannot filter what it logs"
        elif logs.get("ApplicationLogLevel") not in ("TRACE", "DEBUG", "INFO"):
            yield f"{name} loses its metrics"
        elif (logs.get("SystemLogLevel"), logs["ApplicationLogLevel"]) not in (
            ("WARN", "INFO"),
            ("INFO", "DEBUG"),
        ):
            yield f"{name} logs start and end of each call, or no failures"


def _set_logging(templates: dict[str, Template], config: dict[str, str]) -> None:
    for resource in templates["iot"]["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["LoggingConfig"] |= config


@fault(functions_log_their_metrics_but_not_each_call)
def a_function_that_logs_text(templates: dict[str, Template]) -> None:
    _set_logging(templates, {"LogFormat": "Text"})


@fault(functions_log_their_metrics_but_not_each_call)
def a_function_that_loses_its_metrics(templates: dict[str, Template]) -> None:
    _set_logging(templates, {"ApplicationLogLevel": "WARN"})


@fault(functions_log_their_metrics_but_not_each_call)
def a_function_that_logs_each_call(templates: dict[str, Template]) -> None:
    _set_logging(templates, {"SystemLogLevel": "INFO"})


@rule
def only_what_sampling_rules_govern_is_traced(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/xray/latest/devguide/xray-console-sampling.html

    A sampling rule governs the stage of a REST API. In the mode `Active`, Lambda samples calls without a
    trace, such as those from queues and WebSocket APIs, at a fixed rate (`aws_lambda.Tracing` of the AWS
    CDK).
    """
    for name, function in stacks.functions().items():
        if function.get("TracingConfig", {}).get("Mode") == "Active":
            yield f"{name} samples at Lambda's own rate"
    apis = {api["Name"] for _, api in of_type(stacks, "AWS::ApiGateway::RestApi")}
    for name, sampling in of_type(stacks, "AWS::XRay::SamplingRule"):
        given = sampling["SamplingRule"]
        if given["ServiceType"] != "AWS::ApiGateway::Stage":
            yield f"{name} is for {given['ServiceType']}, which does not use sampling rules"
        if given["ServiceName"].partition("/")[0] not in apis:
            yield f"{name} is for {given['ServiceName']}, which is no API"


@fault(only_what_sampling_rules_govern_is_traced)
def a_function_with_active_tracing(templates: dict[str, Template]) -> None:
    for resource in templates["api"]["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["TracingConfig"] = {"Mode": "Active"}


@fault(only_what_sampling_rules_govern_is_traced)
def a_sampling_rule_for_functions(templates: dict[str, Template]) -> None:
    for resource in templates["monitoring"]["Resources"].values():
        if resource["Type"] == "AWS::XRay::SamplingRule":
            resource["Properties"]["SamplingRule"] |= {"ServiceName": "anc-prod*", "ServiceType": "*"}
