"""JSON schemas that the package check-jsonschema ships, so that tests need no network."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def published_schema(name: str) -> Any:
    """Return a schema: compose-spec, github-workflows."""
    package = find_spec("check_jsonschema")  # the import would take longer than the test
    assert package is not None
    assert package.origin is not None
    vendored = Path(package.origin).parent / "builtin_schemas" / "vendor"
    return json.loads((vendored / f"{name}.json").read_text(encoding="utf-8"))
