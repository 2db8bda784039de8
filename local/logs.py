"""The log of the platform on one machine: JSON lines on standard output, and in the data folder.

Each process has a file of its own, because several processes cannot rotate one. The fields are those of the
log of a function on AWS; `xray_trace_id` is the id of the trace of `local.tracing`, in the format of X-Ray.
"""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from anc.tracing import Tracing

FOLDER = "log"
SUFFIX = ".jsonl"
MAX_BYTES = 2_000_000
OLDER_FILES = 4


class TraceFormatter(LambdaPowertoolsFormatter):
    """The formatter of Powertools, with the trace of this thread instead of that of a Lambda process."""

    def __init__(self, tracing: Tracing, service: str) -> None:
        super().__init__(service=service)
        self._tracing = tracing

    def _get_latest_trace_id(self) -> str | None:
        """Return the trace id in the format of X-Ray; its digits are those of OpenTelemetry."""
        _, _, rest = self._tracing.context().partition("-")
        id = rest.partition("-")[0]
        return f"1-{id[:8]}-{id[8:]}" if id else None


class _Lines(logging.Formatter):
    """Format each record as its logger does, and those of plain loggers like these."""

    def __init__(self, plain: TraceFormatter) -> None:
        super().__init__()
        self._plain = plain

    def format(self, record: logging.LogRecord) -> str:
        own = _powertools_handler(record.name)
        return (own.formatter if own and own.formatter else self._plain).format(record)


def start(data: Path, process: str, tracing: Tracing) -> None:
    """Write the log of this process to a file below the data folder, too.

    Parameters
    ----------
    data : Path
    process : str
        Name of the file.
    tracing : Tracing
    """
    folder = data / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in list(logging.root.manager.loggerDict):
        if (own := _powertools_handler(name)) and logging.getLogger(name) is _owner(name):
            own.setFormatter(TraceFormatter(tracing, name))
    lines = _Lines(TraceFormatter(tracing, "platform"))
    console = logging.StreamHandler(sys.stdout)
    console.addFilter(
        lambda record: _powertools_handler(record.name) is None
    )  # the others write by themselves
    file = RotatingFileHandler(
        folder / f"{process}{SUFFIX}", maxBytes=MAX_BYTES, backupCount=OLDER_FILES, encoding="utf-8"
    )
    for handler in (console, file):
        handler.setFormatter(lines)
        logging.root.addHandler(handler)


def _owner(name: str) -> logging.Logger | None:
    """Return the nearest logger of Powertools that handles the records of a logger."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger and not getattr(logger, "powertools_handler", None):
        logger = logger.parent
    return logger


def _powertools_handler(name: str) -> logging.Handler | None:
    return getattr(_owner(name), "powertools_handler", None)
