"""Public keys of a token issuer that publishes a JWKS, such as Cognito."""

from functools import cached_property
from typing import Any

from jwt import PyJWKClient
from jwt.exceptions import DecodeError, PyJWKClientConnectionError, PyJWKClientError


class JwksSigningKeys:
    """`anc.ports.SigningKeys` on a JWKS document, fetched when first needed and kept for an hour.

    A `kid` that is not in it makes the document be fetched anew, at most every 30 s: a rotated key is found
    soon, and forged tokens cannot make us hammer the issuer. Raises ConnectionError when the issuer does not
    answer, which is no fault of the token.
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
        return PyJWKClient(self._url, lifespan=3600, timeout=2)
