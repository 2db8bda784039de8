"""Request and response bodies of the REST API as pydantic models, the source of its OpenAPI document."""
