"""The stacks are adapted to the emulator only where it requires it."""

import json

import pytest

from infra.emulated.assembly import (
    ALARM_ON_EXPRESSION,
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
