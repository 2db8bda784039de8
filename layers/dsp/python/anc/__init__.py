"""The platform's library: adaptive filters, hearing, message formats and the use cases built on them."""

__version__ = "1.0.0"  # of the packages, the OpenAPI and AsyncAPI documents and the command
