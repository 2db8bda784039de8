"""Print the OpenAPI document of the REST API."""

import json

from functions.rest_api.handler import app
from functions.rest_api.openapi import document

print(json.dumps(document(app), indent=1))
