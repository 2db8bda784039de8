"""The exception for rejected requests."""

from typing import TypeVar

import httpx

from anc_client import schemas
from anc_client.codec import decode

A = TypeVar("A")


class ApiError(Exception):
    """The platform rejected a request.

    Attributes
    ----------
    status : int
        HTTP status.
    code : str
        Error code, such as `bad_field` or `unknown_session`.
    detail : str
        Message with the field and its allowed values.
    retry_after_s : int or None
        Seconds to wait before a retry, from the `Retry-After` header.
    """

    def __init__(self, status: int, code: str, detail: str, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s


def decode_answer(kind: type[A], answer: httpx.Response) -> A:
    """Return the body of a response.

    Raises
    ------
    ApiError
        `bad_gateway`: it is not JSON, so it is not from the platform.
    ValueError
        It is not of this kind.
    """
    try:
        value = answer.json()
    except ValueError:
        what = f"{answer.url.path}: the response is not JSON, so it is not from the platform"
        raise ApiError(answer.status_code, "bad_gateway", what) from None
    return decode(kind, value)


def api_error(answer: httpx.Response) -> ApiError:
    """Return the exception for an HTTP error response."""
    wait = answer.headers.get("Retry-After", "")
    try:
        problem = decode(schemas.Problem, answer.json())
    except ValueError:  # not from the platform, such as a proxy's error page
        return ApiError(answer.status_code, "bad_gateway", answer.reason_phrase)
    return ApiError(
        answer.status_code,
        problem.code,
        problem.detail,
        int(wait) if wait.isascii() and wait.isdigit() else None,
    )
