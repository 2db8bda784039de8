"""Concurrency of deployments in a new account with 10 executions and in one with 1,000; see the rule book."""

from infra import concurrency
from tests.infra.conftest import Stacks, synthesize


def consumers(stacks):
    """Yield for each event source: function, its queue, and its greatest number of batches at a time."""
    queues = stacks.of_type("AWS::SQS::Queue")
    for source in stacks.of_type("AWS::Lambda::EventSourceMapping").values():
        function = stacks.function_of(source["FunctionName"])
        queue = queues[stacks.text(source["EventSourceArn"])]
        yield function, queue, source["ScalingConfig"]["MaximumConcurrency"]


def test_recordings_share_nothing_with_the_control_path(stacks):
    fed = {}
    for source in stacks.of_type("AWS::Lambda::EventSourceMapping").values():
        function = stacks.function_of(source["FunctionName"])
        fed.setdefault(function, set()).add(stacks.text(source["EventSourceArn"]).rstrip("0123456789ABCDEF"))
    functions = stacks.functions()
    recordings, control = functions["recording_processor"], functions["anc_processor"]

    assert fed["recording_processor"] == {"recordings"}
    assert "recordings" not in fed["anc_processor"]
    assert recordings["Role"] != control["Role"]
    assert recordings["Timeout"] > control["Timeout"]
    assert len(recordings["Layers"]) > len(control["Layers"])
    assert "OBJECTS_BUCKET" not in control["Environment"]["Variables"]


def test_prod_reserves_what_its_queues_and_live_blocks_use(prod):
    reserved = {
        name: function["ReservedConcurrentExecutions"]
        for name, function in prod.functions().items()
        if "ReservedConcurrentExecutions" in function
    }

    assert set(reserved) == {"audio_receiver", *(function for function, _, _ in consumers(prod))}
    assert reserved["audio_receiver"] == concurrency.LIVE


def test_in_a_new_account_the_queues_share_10_executions(stacks):
    batches = [at_a_time for _, _, at_a_time in consumers(stacks)]

    assert sum(batches) <= concurrency.NEW_ACCOUNT
    assert min(batches) >= 2  # the least that AWS takes
    assert not any("ReservedConcurrentExecutions" in each for each in stacks.functions().values())


def test_prod_deploys_in_a_new_account_too():
    small = Stacks(synthesize("prod", concurrency="10"))

    assert not any("ReservedConcurrentExecutions" in each for each in small.functions().values())
    versions = small.of_type("AWS::Lambda::Version").values()
    assert not any("ProvisionedConcurrencyConfig" in version for version in versions)
