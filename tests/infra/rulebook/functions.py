"""Functions: loops, timeouts against queues, and concurrency."""

from collections import defaultdict
from collections.abc import Iterator

from infra.concurrency import THROTTLED_RECEIVES, UNRESERVED
from tests.infra.conftest import Stacks, Template
from tests.infra.rulebook import fault, rule
from tests.infra.rulebook.templates import definition, of_type, resources

TIMEOUTS_PER_VISIBILITY = 6
MIN_BATCHES, MAX_BATCHES = 2, 1000  # of an event source


def sources(stacks: Stacks) -> Iterator[tuple[str, str]]:
    """Yield function and logical id of its queue, for each event source."""
    for _, source in of_type(stacks, "AWS::Lambda::EventSourceMapping"):
        yield stacks.function_of(source["FunctionName"]), stacks.text(source["EventSourceArn"])


def reservations(stacks: Stacks) -> dict[str, int]:
    """Return the reserved concurrency of the functions that have one."""
    return {
        name: function["ReservedConcurrentExecutions"]
        for name, function in stacks.functions().items()
        if "ReservedConcurrentExecutions" in function
    }


def loops(stacks: Stacks) -> set[str]:
    """Return the functions that can reach themselves through queues."""
    consumer = {queue: function for function, queue in sources(stacks)}
    sends = defaultdict(set)
    for name, function in stacks.functions().items():
        for variable, value in function["Environment"]["Variables"].items():
            if variable.endswith("_QUEUE_URL") and stacks.text(value) in consumer:
                sends[name].add(consumer[stacks.text(value)])
    reached = {name: set(direct) for name, direct in sends.items()}
    for _ in reached:
        for name, others in reached.items():
            reached[name] = others.union(*(reached.get(other, set()) for other in others))
    return {name for name, others in reached.items() if name in others}


@rule
def only_functions_in_a_loop_may_loop(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html

    Lambda stops a function that invokes itself through SQS after about 16 rounds, unless the function allows
    it.
    """
    looping = loops(stacks)
    for name, function in stacks.functions().items():
        if (function.get("RecursiveLoop") == "Allow") != (name in looping):
            yield f"{name}: RecursiveLoop is {function.get('RecursiveLoop')}, loops: {name in looping}"


@fault(only_functions_in_a_loop_may_loop)
def a_loop_that_lambda_stops(templates: dict[str, Template]) -> None:
    for _, _, resource in resources(Stacks(templates)):
        resource.get("Properties", {}).pop("RecursiveLoop", None)


@rule
def messages_are_hidden_for_six_timeouts(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html

    Otherwise a message that is retried after a throttle is delivered again while it is processed.
    """
    queues, functions = stacks.of_type("AWS::SQS::Queue"), stacks.functions()
    for name, queue in sources(stacks):
        if queues[queue]["VisibilityTimeout"] < TIMEOUTS_PER_VISIBILITY * functions[name]["Timeout"]:
            yield f"{queue} shows its messages again before six timeouts of {name}"


@fault(messages_are_hidden_for_six_timeouts)
def a_timeout_that_is_too_long(templates: dict[str, Template]) -> None:
    for resource in templates["iot"]["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Timeout"] *= 2


@rule
def reservations_leave_100_executions(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html

    Lambda refuses a reservation, or provisioned concurrency, that leaves fewer than 100 of the account's
    quota unreserved. A new account has 10, so that it can have neither.
    """
    reserved = reservations(stacks)
    provisioned = {
        stacks.function_of(version["FunctionName"]): version["ProvisionedConcurrencyConfig"][
            "ProvisionedConcurrentExecutions"
        ]
        for _, version in of_type(stacks, "AWS::Lambda::Version")
        if "ProvisionedConcurrencyConfig" in version
    }
    unreserved = [count for name, count in provisioned.items() if name not in reserved]
    if (reserved or provisioned) and sum(reserved.values()) + sum(unreserved) > stacks.quota - UNRESERVED:
        yield f"{reserved} and {provisioned} leave too few of {stacks.quota}"
    for name, count in provisioned.items():
        if count > reserved.get(name, count):
            yield f"{name} provisions {count} of {reserved[name]} reserved executions"


@fault(reservations_leave_100_executions)
def a_reservation_of_everything(templates: dict[str, Template]) -> None:
    for resource in templates["api"]["Resources"].values():
        if "ReservedConcurrentExecutions" in resource.get("Properties", {}):
            resource["Properties"]["ReservedConcurrentExecutions"] = 1000


@fault(reservations_leave_100_executions)
def more_provisioned_than_reserved(templates: dict[str, Template]) -> None:
    for resource in templates["api"]["Resources"].values():
        if "ProvisionedConcurrencyConfig" in resource.get("Properties", {}):
            resource["Properties"]["ProvisionedConcurrencyConfig"]["ProvisionedConcurrentExecutions"] = 500


@rule
def aliases_whose_calls_are_shifted_have_no_provisioned_concurrency(stacks: Stacks) -> Iterator[str]:
    """https://github.com/hashicorp/terraform-provider-aws/issues/13329

    During a gradual deployment, an alias has weights, with which Lambda refuses to change its provisioned
    concurrency. Versions may have it.
    """
    for name, alias in of_type(stacks, "AWS::Lambda::Alias"):
        if "ProvisionedConcurrencyConfig" in alias:
            yield f"{name} has provisioned concurrency of its own"


@fault(aliases_whose_calls_are_shifted_have_no_provisioned_concurrency)
def an_alias_with_provisioned_concurrency(templates: dict[str, Template]) -> None:
    for resource in templates["api"]["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Alias":
            resource["Properties"]["ProvisionedConcurrencyConfig"] = {"ProvisionedConcurrentExecutions": 1}


@rule
def throttled_messages_do_not_use_up_their_receives(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html

    An event source runs 2 to 1,000 batches at a time. A batch that is throttled counts as received: a
    function reserves what its queues use, or their messages may be received more often.
    """
    queues, reserved = stacks.of_type("AWS::SQS::Queue"), reservations(stacks)
    batches: dict[str, int] = defaultdict(int)
    for _, source in of_type(stacks, "AWS::Lambda::EventSourceMapping"):
        at_a_time = source["ScalingConfig"]["MaximumConcurrency"]
        batches[stacks.function_of(source["FunctionName"])] += at_a_time
        if not MIN_BATCHES <= at_a_time <= MAX_BATCHES:
            yield f"an event source runs {at_a_time} batches at a time"
    for name, queue in sources(stacks):
        receives = queues[queue]["RedrivePolicy"]["maxReceiveCount"]
        if reserved.get(name, 0) < batches[name] and receives < THROTTLED_RECEIVES:
            yield f"{queue}: {receives} receives of throttled messages are too few"


@fault(throttled_messages_do_not_use_up_their_receives)
def a_reservation_below_the_batches(templates: dict[str, Template]) -> None:
    for resource in templates["iot"]["Resources"].values():
        if "ReservedConcurrentExecutions" in resource.get("Properties", {}):
            resource["Properties"]["ReservedConcurrentExecutions"] = 1


@rule
def callers_use_the_alias_that_a_deployment_moves(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuring-alias-routing.html

    A gradual deployment, and provisioned concurrency, affect only calls of the alias.
    """
    aliases = {
        stacks.function_of(alias["FunctionName"]): name
        for name, alias in of_type(stacks, "AWS::Lambda::Alias")
    }
    called = [
        *(source["FunctionName"] for _, source in of_type(stacks, "AWS::Lambda::EventSourceMapping")),
        *(each["IntegrationUri"] for _, each in of_type(stacks, "AWS::ApiGatewayV2::Integration")),
    ]
    for reference in called:
        name = stacks.function_of(reference)
        if name in aliases and aliases[name] not in stacks.text(reference):
            yield f"{name} is called without its alias"
    for stack, name, resource in resources(stacks):
        if resource["Type"] == "AWS::CodeDeploy::DeploymentGroup":
            alarms = resource["Properties"].get("AlarmConfiguration", {}).get("Alarms", ())
            known = [definition(stacks, stack, alarm["Name"]) for alarm in alarms]
            if not known:
                yield f"{name} has no alarm that rolls back"


@fault(callers_use_the_alias_that_a_deployment_moves)
def a_queue_of_the_function_itself(templates: dict[str, Template]) -> None:
    own = templates["iot"]["Resources"]
    functions = [name for name, resource in own.items() if resource["Type"] == "AWS::Lambda::Function"]
    for resource in own.values():
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            (name,) = [each for each in functions if each.startswith("audiosender")]
            resource["Properties"]["FunctionName"] = {"Ref": name}


@fault(callers_use_the_alias_that_a_deployment_moves)
def a_deployment_without_alarms(templates: dict[str, Template]) -> None:
    for resource in templates["api"]["Resources"].values():
        if resource["Type"] == "AWS::CodeDeploy::DeploymentGroup":
            del resource["Properties"]["AlarmConfiguration"]
