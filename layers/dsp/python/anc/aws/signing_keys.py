"""Public keys of a token issuer that publishes a JWKS, such as Cognito."""

from functools import cached_property
from typing import Any

from jwt import PyJWKClient
from jwt.exceptions import DecodeError, PyJWKClientConnectionError, PyJWKClientError

from anc.aws.clients import TIMEOUT_S


class JwksSigningKeys:
    """`anc.ports.SigningKeys` on a JWKS document, fetched on first use and cached for an hour.

    A token with an unknown `kid` triggers another fetch, at most every 30 s: rotated keys are found soon, and
    forged tokens cannot flood the issuer with requests. Raises ConnectionError, not LookupError, if the
    issuer does not respond.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def key_for(self, token: str) -> Any:
        """See `SigningKeys.key_for`."""
        try:
            return self._issuer.get_signing_key_from_jwt(token).key
        except PyJWKClientConnectionError as fault:
            raise ConnectionError(f"token issuer: {fault}") from fault
        except (PyJWKClientError, DecodeError) as fault:
            raise LookupError(str(fault)) from fault

    @cached_property
    def _issuer(self) -> PyJWKClient:
        return PyJWKClient(self._url, lifespan=3600, timeout=max(2.0, TIMEOUT_S))
