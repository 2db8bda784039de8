"""Requests that the platform refused."""

import httpx

from anc_client import schemas
from anc_client.codec import decode


class ApiError(Exception):
    """The platform said no.

    Attributes
    ----------
    status : int
        Of HTTP.
    code : str
        For programs: `bad_field`, `unknown_session`, ...
    detail : str
        For people: the field and what is allowed.
    retry_after_s : int or None
        After how many seconds asking again makes sense, when the platform said so.
    """

    def __init__(self, status: int, code: str, detail: str, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s


def api_error(answer: httpx.Response) -> ApiError:
    """Return the exception for an HTTP error response."""
    wait = answer.headers.get("Retry-After", "")
    try:
        problem = decode(schemas.Problem, answer.json())
    except ValueError:  # not ours: a proxy's page
        return ApiError(answer.status_code, "bad_gateway", answer.reason_phrase)
    return ApiError(
        answer.status_code,
        problem.code,
        problem.detail,
        int(wait) if wait.isascii() and wait.isdigit() else None,
    )
