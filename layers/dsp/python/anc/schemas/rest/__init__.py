"""What the REST API takes and answers, as pydantic models: its OpenAPI document is made of them."""
