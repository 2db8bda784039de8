"""The console's types are those of the OpenAPI document, and what checks them is locked."""

import importlib.util
import json
import re
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TYPES = ROOT / "web_types"
VENDOR = ROOT / "web" / "vendor"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_types", TYPES / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lock() -> dict[str, Any]:
    text = (TYPES / "package-lock.json").read_text()
    packages: dict[str, Any] = json.loads(text)["packages"]
    return packages


def document(paths: dict[str, Any], **schemas: Any) -> str:
    return json.dumps({"paths": paths, "components": {"schemas": schemas}})


def answer(**schema: Any) -> dict[str, Any]:
    return {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}


def test_the_types_match_the_openapi_document(generator: ModuleType) -> None:
    assert generator.types(generator.OPENAPI.read_text()) == generator.TYPES.read_text(), "make client"


def test_answers_have_every_field_and_requests_may_omit_what_has_a_default(generator: ModuleType) -> None:
    fields = {
        "properties": {
            "level": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "mode": {"enum": ["a", "b"]},
        }
    }
    body = {
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Sent"}}}}
    }
    routes = {"/one": {"post": answer(**{"$ref": "#/components/schemas/Received"}) | body}}
    text = generator.types(document(routes, Sent=fields, Received=fields))
    sent, received = re.findall(r"interface (?:Sent|Received) \{(.*?)\}", text, re.DOTALL)
    assert " ".join(sent.split()) == 'level?: number | null; mode?: "a" | "b";'
    assert " ".join(received.split()) == 'level: number | null; mode: "a" | "b";'
    assert "[`/one`, Received]" in text
    assert "[`/one`, Sent]" in text


def test_a_path_is_compared_before_the_pattern_that_matches_it_too(generator: ModuleType) -> None:
    kind = answer(type="string")
    routes = {path: {"get": kind} for path in ("/users/{id}", "/users/{id}/keys", "/users/me")}
    patterns = re.findall(r"\[`(.*?)`, string\]", generator.types(document(routes)))
    assert patterns == ["/users/me", "/users/${string}/keys", "/users/${string}"]


def test_every_package_is_locked_by_a_hash_and_no_host_is_named(lock: dict[str, Any]) -> None:
    packages = [package for place, package in lock.items() if place]
    assert packages
    for package in packages:
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package


def test_the_types_are_those_of_the_versions_that_the_console_contains(lock: dict[str, Any]) -> None:
    shipped = dict(
        re.findall(r"^\| (preact|htm|uplot) \| (\S+) \|", (VENDOR / "README.md").read_text(), re.MULTILINE)
    )
    assert shipped == {name: lock[f"node_modules/{name}"]["version"] for name in ("preact", "htm", "uplot")}


def test_the_packages_that_the_console_contains_are_unchanged() -> None:
    rows = re.findall(
        r"^\| `(\S+)` \| `\S+` \| `([0-9a-f]{64})` \|", (VENDOR / "README.md").read_text(), re.MULTILINE
    )
    assert {name for name, _ in rows} == {
        path.name for path in VENDOR.iterdir() if path.suffix in (".js", ".css")
    }
    for name, digest in rows:
        assert sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name


def test_no_module_of_the_console_is_exempt_from_the_types() -> None:
    for path in (ROOT / "web").rglob("*.js"):
        if path.parent != VENDOR:
            assert "@ts-" not in path.read_text(), path
