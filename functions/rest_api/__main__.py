"""Writes the OpenAPI document of the REST API."""

import json

from functions.rest_api.description import document
from functions.rest_api.handler import app

print(json.dumps(document(app), indent=1))
