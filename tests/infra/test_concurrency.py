"""Queues, timeouts and concurrency, in a new account with 10 concurrent executions and in one with 1,000."""

import pytest

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


def test_a_function_that_queues_its_own_work_may_do_so_without_end(stacks):
    """Otherwise Lambda stops a chain of about 16 invocations. Source: Lambda recursive loop detection."""
    for name, function in stacks.functions().items():
        own = {
            f"{stacks.text(source['EventSourceArn']).rstrip('0123456789ABCDEF')}_queue_url".upper()
            for source in stacks.of_type("AWS::Lambda::EventSourceMapping").values()
            if stacks.function_of(source["FunctionName"]) == name
        }
        loops = bool(own & set(function["Environment"]["Variables"]))
        assert loops == (name == "recording_processor")
        assert function.get("RecursiveLoop") == ("Allow" if loops else None), name


@pytest.mark.parametrize("deployment", ["stacks", "prod", "without_endpoint"])
def test_a_message_is_hidden_for_six_timeouts_of_its_function(deployment, request):
    stacks = request.getfixturevalue(deployment)
    for function, queue, _ in consumers(stacks):
        assert queue["VisibilityTimeout"] >= 6 * stacks.functions()[function]["Timeout"], function


def test_reservations_cover_all_batches_so_that_no_message_is_throttled(prod):
    total = {}
    for function, _, batches in consumers(prod):
        total[function] = total.get(function, 0) + batches
    reserved = {
        name: function["ReservedConcurrentExecutions"]
        for name, function in prod.functions().items()
        if "ReservedConcurrentExecutions" in function
    }

    for function, batches in total.items():
        assert reserved[function] >= batches, function
    assert reserved["audio_receiver"] == concurrency.LIVE
    assert sum(reserved.values()) + concurrency.UNRESERVED <= 1000


def test_in_a_new_account_the_queues_share_10_executions_and_messages_endure_throttles(stacks):
    batches = [at_a_time for _, _, at_a_time in consumers(stacks)]

    assert sum(batches) <= concurrency.NEW_ACCOUNT
    assert min(batches) >= 2  # the least that AWS takes
    assert not any("ReservedConcurrentExecutions" in each for each in stacks.functions().values())
    for _, queue, _ in consumers(stacks):
        assert queue["RedrivePolicy"]["maxReceiveCount"] >= concurrency.THROTTLED_RECEIVES


def test_prod_deploys_in_a_new_account_too():
    small = Stacks(synthesize("prod", concurrency="10"))

    assert not any("ReservedConcurrentExecutions" in each for each in small.functions().values())
    aliases = small.of_type("AWS::Lambda::Alias").values()
    assert not any("ProvisionedConcurrencyConfig" in alias for alias in aliases)
