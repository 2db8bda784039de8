"""Queries on templates that several rules need."""

from collections.abc import Iterator
from typing import Any

from tests.infra.conftest import Stacks


def of_type(stacks: Stacks, *kinds: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield logical id and properties of every resource of these types."""
    for _, name, resource in resources(stacks):
        if resource["Type"] in kinds:
            yield name, resource.get("Properties", {})


def resources(stacks: Stacks) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield stack, logical id and definition of every resource."""
    for stack, template in stacks.templates.items():
        for name, resource in template["Resources"].items():
            yield stack, name, resource


def references(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the intrinsic functions in a part of a template that refer to resources, with their arguments."""
    match value:
        case dict():
            for key, part in value.items():
                if key in ("Ref", "Fn::GetAtt", "Fn::ImportValue"):
                    yield key, part
                else:
                    yield from references(part)
        case list():
            for part in value:
                yield from references(part)


def definition(stacks: Stacks, stack: str, value: Any) -> dict[str, Any]:
    """Return the resource that a value in a stack refers to, in this stack or in that which exports it."""
    match value:
        case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
            found: dict[str, Any] = stacks.templates[stack]["Resources"][name]
            return found
        case {"Fn::ImportValue": name}:
            for other, template in stacks.templates.items():
                for output in template.get("Outputs", {}).values():
                    if output.get("Export", {}).get("Name") == name:
                        return definition(stacks, other, output["Value"])
    raise AssertionError(f"{value} refers to no resource")


def imports(template: dict[str, Any]) -> set[str]:
    """Return the names of the exports that a template uses."""
    return {name for kind, name in references(template) if kind == "Fn::ImportValue"}


def listed(value: Any) -> list[Any]:
    """Return a value that may be a list as a list."""
    return value if isinstance(value, list) else [value]
