"""Serve SageMaker's HTTP contract on this machine: `python sagemaker/serve.py MODEL_DIR --port N`.

On AWS, the server of the scikit-learn container calls the same four functions.
"""

import argparse
import json
import logging
import os
import re
import sys
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
LAYER = HERE.parent / "layers" / "dsp" / "python"
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the container; read when numpy is imported
sys.path[:0] = [str(HERE), *([str(LAYER)] if LAYER.is_dir() else [])]  # as in the artifact

from inference import MAX_BODY_BYTES, Model, input_fn, model_fn, output_fn, predict_fn  # noqa: E402

from anc.noise.model_file import ModelError  # noqa: E402

logger = logging.getLogger("sagemaker")


class Handler(BaseHTTPRequestHandler):
    """`GET /ping` and `POST /invocations`."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def __init__(self, model: Model, *rest: object) -> None:
        self.model = model
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer health checks."""
        self._answer(HTTPStatus.OK if self.path == "/ping" else HTTPStatus.NOT_FOUND, "{}")

    def do_POST(self) -> None:
        """Classify a sound."""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > MAX_BODY_BYTES:
            self.close_connection = True  # the body is not read
            problem = f"Content-Length: must be at most {MAX_BODY_BYTES} (got {length[:20] or 'none'})"
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, json.dumps({"error": problem}))
            return
        body = self.rfile.read(int(length))
        if self.path != "/invocations":
            self._answer(HTTPStatus.NOT_FOUND, "{}")
            return
        try:
            sound = input_fn(body, self.headers.get("Content-Type", ""))
            text, kind = output_fn(predict_fn(sound, self.model), self.headers.get("Accept", "*/*"))
        except ValueError as error:
            self._answer(HTTPStatus.BAD_REQUEST, json.dumps({"error": str(error)}))
            return
        self._answer(HTTPStatus.OK, text, kind)

    def _answer(self, status: HTTPStatus, text: str, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Log method and status, but no content."""
        logger.info(format, *args)


def server(model_dir: Path, port: int) -> ThreadingHTTPServer:
    """Load the model and bind the port. Raises ModelError."""
    return ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, model_fn(str(model_dir))))


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_dir", type=Path, help="Folder with model.npz and optionally a backbone.")
    parser.add_argument("--port", type=int, default=8080, help="TCP port.")
    arguments = parser.parse_args()
    try:
        with server(arguments.model_dir, arguments.port) as http:
            http.serve_forever()
    except ModelError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
