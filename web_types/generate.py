"""Generate the console's types of the REST API from the OpenAPI document; run by `make client`."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OPENAPI = HERE.parent / "docs" / "openapi.json"
TYPES = HERE / "api.d.ts"
HEADER = "/** The REST API. Generated from docs/openapi.json by `make client`: do not edit. */"
PREFIX = "#/components/schemas/"
METHODS = ("get", "post", "put", "patch", "delete")

Schema = dict[str, Any]


def types(text: str) -> str:
    """Return the declarations for an OpenAPI document.

    The namespace `Api` has an interface of each schema, and of each HTTP method the pairs of path and answer
    (`Answers`) and of path and body (`Bodies`). A path is a pattern: `/api/devices/${string}`.
    """
    document = json.loads(text)
    schemas: dict[str, Schema] = document["components"]["schemas"]
    routes = [
        (method, path, operation)
        for path, operations in sorted(document["paths"].items(), key=lambda item: _specificity(item[0]))
        for method, operation in operations.items()
        if method in METHODS
    ]
    bodies = {(method, path): _body(operation) for method, path, operation in routes}
    answers = {(method, path): _answer(operation) for method, path, operation in routes}
    sent = _reachable(filter(None, bodies.values()), schemas)
    received = _reachable(filter(None, answers.values()), schemas) - sent
    lines = [HEADER, "declare namespace Api {"]
    for name, schema in schemas.items():
        lines += _interface(name, schema, is_complete=name in received)
    lines += [*_pairs("Answers", answers), *_pairs("Bodies", bodies), "}", ""]
    return "\n".join(lines)


def _specificity(path: str) -> tuple[int, int]:
    """Sort paths so that a pattern follows the paths that it would match, too."""
    return path.count("{"), -path.count("/")


def _body(operation: Schema) -> Schema | None:
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return None
    return content.get("application/json", {"schema": {"format": "binary"}})["schema"]  # type: ignore[no-any-return]


def _answer(operation: Schema) -> Schema | None:
    (answer,) = [each for status, each in operation["responses"].items() if status.startswith("2")]
    for content in answer.get("content", {}).values():
        return content["schema"]  # type: ignore[no-any-return]
    return None


def _reachable(roots: Iterable[Schema], schemas: dict[str, Schema]) -> set[str]:
    """Return the names of the schemas that some schemas consist of."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        for name in set(_references(waiting.pop())) - found:
            found.add(name)
            waiting.append(schemas[name])
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].removeprefix(PREFIX)
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _references(each)


def _interface(name: str, schema: Schema, is_complete: bool) -> Iterator[str]:
    """Yield the lines of an interface. A complete one has every field, as answers do."""
    yield f"  /** {' '.join(schema.get('description', name).split())} */"
    yield f"  interface {name} {{"
    required = schema.get("properties", {}) if is_complete else schema.get("required", [])
    for field, kind in schema.get("properties", {}).items():
        yield f"    {field}{'' if field in required else '?'}: {_type(kind)};"
    yield "  }"


def _pairs(name: str, kinds: dict[tuple[str, str], Schema | None]) -> Iterator[str]:
    yield "  /** By method: pairs of path and type, in the order in which patterns are compared. */"
    yield f"  interface {name} {{"
    for method in METHODS:
        yield f"    {method.upper()}: ["
        for (each, path), kind in kinds.items():
            if each == method:
                yield f"      [{_pattern(path)}, {_type(kind) if kind else 'undefined'}],"
        yield "    ];"
    yield "  }"


def _pattern(path: str) -> str:
    parts = ["${string}" if part.startswith("{") else part for part in path.split("/")]
    return f"`{'/'.join(parts)}`"


def _type(schema: Schema) -> str:
    """Return a schema as TypeScript."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(PREFIX)
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(value) for value in schema.get("enum", [schema.get("const")]))
    if schema.get("format") == "binary":
        return "Blob"
    return _simple_type(schema)


def _simple_type(schema: Schema) -> str:
    kind = schema.get("type")
    if kind == "array":
        return f"Array<{_type(schema.get('items', {}))}>"
    if kind == "object":
        values = schema.get("additionalProperties")
        keys = _type(schema["propertyNames"]) if "propertyNames" in schema else "string"
        record = f"Record<{keys}, {_type(values) if isinstance(values, dict) else 'any'}>"
        return f"Partial<{record}>" if "propertyNames" in schema else record
    return {
        "integer": "number",
        "number": "number",
        "string": "string",
        "boolean": "boolean",
        "null": "null",
    }.get(str(kind), "any")


if __name__ == "__main__":
    TYPES.write_text(types(OPENAPI.read_text()))
