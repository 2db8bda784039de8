"""Generate the client's types from the OpenAPI document; run by `make client`."""

from json import loads
from pathlib import Path

from datamodel_code_generator import (
    DataModelType,
    Formatter,
    InputFileType,
    LiteralType,
    PythonVersion,
    generate,
)

HERE = Path(__file__).parent
OPENAPI = HERE.parent / "docs" / "openapi.json"
SCHEMAS = HERE / "src" / "anc_client" / "schemas.py"
HEADER = '''"""The REST API's schemas. Generated from docs/openapi.json by `make client`: do not edit."""

# ruff: noqa: E501'''


def schemas(document: str) -> str:
    """Return the source of the dataclasses for an OpenAPI document, and of `__version__`."""
    classes = generate(
        document,
        input_file_type=InputFileType.OpenAPI,
        output_model_type=DataModelType.DataclassesDataclass,
        target_python_version=PythonVersion.PY_311,
        frozen_dataclasses=True,
        keyword_only=True,
        use_standard_collections=True,
        use_union_operator=True,
        enum_field_as_literal=LiteralType.All,
        use_schema_description=True,
        use_single_line_docstring=True,
        use_double_quotes=True,
        strict_nullable=True,
        collapse_root_models=True,
        use_inline_field_description=True,
        disable_future_imports=True,
        disable_timestamp=True,
        custom_file_header=HEADER,
        formatters=[Formatter.RUFF_FORMAT],
        settings_path=HERE,
    )
    version = loads(document)["info"]["version"]
    return f'{str(classes).rstrip()}\n\n\n__version__ = "{version}"\n'


if __name__ == "__main__":
    SCHEMAS.write_text(schemas(OPENAPI.read_text()))
