"""The stacks are adapted to the emulator only where it requires it."""

import json

import pytest

from infra.emulated.__main__ import shortened
from infra.emulated.assembly import (
    ALARM_ON_EXPRESSION,
    ANSWER_S,
    LACKING,
    TIMEOUT_S,
    extend_timeouts,
    fit_for_emulator,
    lacking,
)


@pytest.mark.parametrize("deployment", ["stacks", "prod"])
def test_unsupported_resources_are_removed_from_a_copy_of_the_assembly(tmp_path, deployment, request):
    stacks = request.getfixturevalue(deployment)
    assembly, fitted = tmp_path / "assembly", tmp_path / "fitted"
    assembly.mkdir()
    for name, template in stacks.templates.items():
        (assembly / f"{name}.template.json").write_text(json.dumps(template))

    changes = fit_for_emulator(assembly, fitted, "127.0.0.1:4566")

    before, after = (
        {name: json.loads((folder / f"{name}.template.json").read_text()) for name in stacks.templates}
        for folder in (assembly, fitted)
    )
    assert before == stacks.templates
    used = {resource["Type"] for template in before.values() for resource in template["Resources"].values()}
    assert len(LACKING & used) >= len(LACKING) - 2  # dev has no gradual deployments
    for kind in {*LACKING & used, ALARM_ON_EXPRESSION}:
        assert any(kind in change for change in changes)
    for name, template in before.items():
        gone = set(template["Resources"]) - set(after[name]["Resources"])
        assert all(lacking(template["Resources"][logical]) for logical in gone)
        assert not any(f'"{logical}"' in json.dumps(after[name]) for logical in gone)


def test_functions_get_the_emulator_addresses_instead_of_aws_ones(tmp_path, stacks):
    assembly, fitted = tmp_path / "assembly", tmp_path / "fitted"
    assembly.mkdir()
    for name, template in stacks.templates.items():
        (assembly / f"{name}.template.json").write_text(json.dumps(template))

    fit_for_emulator(assembly, fitted, "127.0.0.1:4566")

    variables = {}
    for path in fitted.glob("*.json"):
        for resource in json.loads(path.read_text())["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                variables |= resource["Properties"]["Environment"]["Variables"]
    endpoint, jwks = stacks.text(variables["SOCKETS_ENDPOINT"]), stacks.text(variables["TOKEN_JWKS_URL"])
    assert endpoint.startswith("https://127.0.0.1:4566/_aws/execute-api/")
    assert endpoint.endswith("/dev")
    assert jwks.startswith("https://127.0.0.1:4566/")
    assert jwks.endswith("/.well-known/jwks.json")
    assert "cognito-idp" in stacks.text(variables["TOKEN_ISSUER"])


def test_a_function_that_starts_slowly_is_not_timed_out(stacks):
    for template in json.loads(json.dumps(stacks.templates)).values():
        functions = [
            each for each in template["Resources"].values() if each["Type"] == "AWS::Lambda::Function"
        ]
        extend_timeouts(template)
        assert all(each["Properties"]["Timeout"] >= TIMEOUT_S for each in functions)


def test_every_function_waits_for_an_emulator_that_pauses(tmp_path, stacks):
    assembly = tmp_path / "assembly"
    assembly.mkdir()
    for name, template in stacks.templates.items():
        (assembly / f"{name}.template.json").write_text(json.dumps(template))

    fit_for_emulator(assembly, tmp_path / "fitted", "127.0.0.1:4566")

    functions = [
        resource["Properties"]["Environment"]["Variables"]
        for path in (tmp_path / "fitted").glob("*.json")
        for resource in json.loads(path.read_text())["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    ]
    assert functions
    assert {variables["AWS_ANSWER_S"] for variables in functions} == {str(ANSWER_S)}


def test_a_log_message_is_shortened_to_its_cause():
    entry = {
        "level": "WARNING",
        "location": "failure_handler:24",
        "message": "message failed",
        "service": "audio_sender",
        "function_arn": "arn:aws:lambda:eu-central-1:000000000000:function:x",
        "exception": 'Traceback (most recent call last):\n  File "x", line 1\nOSError: no network',
    }
    line = f"/aws/lambda/x {json.dumps(entry, separators=(',', ':'))}"
    assert shortened(line) == "message=message failed service=audio_sender OSError: no network"
    assert shortened("2026-11-30 ERROR [x] died") == "2026-11-30 ERROR [x] died"
