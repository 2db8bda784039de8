"""JSON schemas that the package check-jsonschema ships, so that tests need no network."""

import json
from importlib.resources import files
from typing import Any


def published_schema(name: str) -> Any:
    """Return a schema: compose-spec, github-workflows."""
    return json.loads((files("check_jsonschema.builtin_schemas.vendor") / f"{name}.json").read_text())
