"""The synthesized packages work when run as on Lambda."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import aws_cdk as cdk
import pytest

from functions.routes import FUNCTIONS
from infra.emulated.emulator import running
from infra.stacks import FLAGS, provision
from tests.aws_limits import session_here
from tests.infra import account, messages, recording_scenarios, scenarios
from tests.infra.account import Account, fresh_clients
from tests.infra.runtime import Runtime, Unpacked, unpack
from tests.infra.test_layer import MAX_BASE, MEGABYTE, QUOTA
from tests.processes import PATIENCE_S

pytestmark = pytest.mark.thorough

# What a cold start loads before it answers, boto3 included. Only the REST API validates with pydantic.
MODULES, OTHERS_MODULES = {"rest_api": 950}, 820
ENTRY_POINTS = (
    scenarios.an_api_key_is_valid_until_it_is_revoked,
    scenarios.a_headset_is_provisioned_with_a_claim_and_another_key_is_rejected,
    scenarios.a_live_session_cancels_noise_and_detects_an_emergency,
    scenarios.a_sound_is_classified_measured_and_processed_synchronously,
)


class Deployed(Account):
    """The synthesized functions, each in its own process, on an AWS emulator."""

    def __init__(self, functions: Mapping[str, Unpacked]) -> None:
        super().__init__()
        self._functions = functions
        self.started: dict[str, Runtime] = {}

    def invoke(self, function: str, event: dict[str, Any], context: Any = None) -> Any:
        """See `Account.invoke`."""
        if function not in self.started:
            self.started[function] = Runtime(self._functions[function], os.environ)
        return self.started[function].invoke(event)

    def stop(self) -> None:
        """Stop all functions."""
        for runtime in self.started.values():
            runtime.stop()


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Unpacked]:
    pytest.importorskip("awslambdaric", reason="AWS's runtime client is for Linux")
    folder = tmp_path_factory.mktemp("artifact")
    app = cdk.App(context=FLAGS | {"layer": "host"}, outdir=str(folder / "assembly"))
    names = [stack.stack_name for stack in provision(app)]
    made = app.synth()
    templates = {name: made.get_stack_by_name(name).template for name in names}
    return unpack(Path(made.directory), templates, folder / "unpacked")


@pytest.fixture(scope="module")
def deployed(functions: dict[str, Unpacked], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with (
        running(tmp_path_factory.mktemp("emulator")) as emulator,
        mock.patch.dict(os.environ, emulator.environment, clear=True),
    ):
        gone = {"SOCKETS_ENDPOINT": f"https://{emulator.host}/_aws/execute-api/none/dev"}
        patient = {"AWS_ANSWER_S": f"{PATIENCE_S:g}"}  # or calls of a busy emulator time out
        os.environ |= account.provision() | gone | patient
        here = Deployed(functions)
        with fresh_clients(session_here):
            try:
                yield here
            finally:
                here.stop()


def test_every_function_works_as_deployed(deployed: Deployed) -> None:
    for scenario in ENTRY_POINTS:
        scenario(deployed)
    assert deployed.consume("anc_processor", messages.snapshot(1, messages.noise(1))) == []
    assert deployed.consume("audio_sender", {"kind": "control_changed", "thing": "left"}) == []
    recording_scenarios.a_recording_is_filtered(deployed)
    deployed.invoke("rollout_manager", {})
    shadow = deployed.rest("GET", "/api/devices/{id}/shadow", id="left")[1]
    assert shadow["state"]["desired"]["filter"]["seq"] == 1
    assert set(deployed.started) == set(FUNCTIONS)


def test_every_function_and_its_layer_are_within_the_size_limit(functions: dict[str, Unpacked]) -> None:
    assert set(functions) == set(FUNCTIONS)
    for function in functions.values():
        folders = (function.task, function.layer)
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        limit = 0.9 * QUOTA if (function.layer / "python" / "av").exists() else MAX_BASE
        assert sum(path.stat().st_size for path in files) < limit * MEGABYTE, function.name


def test_a_function_contains_only_its_own_handler(functions: dict[str, Unpacked]) -> None:
    for name, function in functions.items():
        found = {path.parent.name for path in function.task.glob("functions/*/handler.py")}
        assert found == {name}
        assert {path.name for path in function.task.iterdir()} == {"functions"}


def test_a_cold_start_imports_within_its_budget(functions: dict[str, Unpacked]) -> None:
    numpy, _ = functions["authorizer"].cost_of("numpy")
    for name, function in functions.items():
        seconds, modules = function.cost_of(f"functions.{name}.handler")
        print(f"{name}: {len(modules)} modules in {1000 * seconds:.0f} ms, {seconds / numpy:.1f} x numpy")
        assert len(modules) <= MODULES.get(name, OTHERS_MODULES), name
        assert "boto3" in modules, f"{name} would import it in its first request"
