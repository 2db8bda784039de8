"""The LambdaContext of a local function call."""

import itertools
import secrets
import time

from aws_lambda_powertools.utilities.typing import LambdaContext

TIMEOUT_S = 29.0
_START, _COUNT = secrets.token_hex(6), itertools.count()


def request_id() -> str:
    """Return a unique request id; a counter is faster than a UUID."""
    return f"{_START}-{next(_COUNT):012x}"


class LocalContext(LambdaContext):
    """Context of a local invocation."""

    def __init__(self, function: str) -> None:
        self._function_name = function
        self._function_version = "$LATEST"
        self._invoked_function_arn = f"arn:aws:lambda:local:000000000000:function:{function}"
        self._memory_limit_in_mb = 1024
        self._aws_request_id = request_id()
        self._log_group_name = f"/aws/lambda/{function}"
        self._log_stream_name = "local"
        self._deadline = time.monotonic() + TIMEOUT_S

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]  # declared static there
        """Return the milliseconds left until the timeout."""
        return max(0, int(1000 * (self._deadline - time.monotonic())))
