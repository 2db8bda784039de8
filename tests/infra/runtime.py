"""Run functions as Lambda does: unpacked to /var/task and /opt, with a Runtime API."""

import json
import os
import queue
import shutil
import subprocess
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

from tests.distributions import link
from tests.processes import PATIENCE_S

# What AWS's image of Python brings: its client of the Runtime API, and boto3, each with what it needs.
BROUGHT = ("awslambdaric", "simplejson", "snapshot-restore-py", "boto3", "botocore", "jmespath", "s3transfer")
BROUGHT += ("urllib3", "python-dateutil", "six")
START = "import sys; sys.path[:0] = sys.argv[1:4]; del sys.argv[1:4]; "
RUN = START + "from awslambdaric.__main__ import main; main(sys.argv)"
COST = START + "import time; t = time.process_time(); __import__(sys.argv[1]); "
COST += "print(time.process_time() - t, *sys.modules)"


class Unpacked(NamedTuple):
    """A function's folders."""

    name: str
    task: Path
    layer: Path
    runtime: Path
    bytecode: Path
    variables: Mapping[str, str]

    def command(self, code: str) -> list[str]:
        """Return how Python runs code that finds the standard library and these folders, and no others."""
        paths = [str(self.task), str(self.layer / "python"), str(self.runtime)]
        # The functions share their bytecode: compiling the layer takes longer than their tests.
        return [sys.executable, "-I", "-S", "-X", f"pycache_prefix={self.bytecode}", "-c", code, *paths]

    def cost_of(self, module: str) -> tuple[float, list[str]]:
        """Return the CPU time of the first import in seconds, and all modules that are loaded then."""
        variables = os.environ | {"AWS_LAMBDA_FUNCTION_NAME": self.name}
        command = [*self.command(COST), module]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        seconds, *modules = done.stdout.split()
        return float(seconds), modules


def unpack(assembly: Path, templates: Mapping[str, Any], target: Path) -> dict[str, Unpacked]:
    """Unpack every function of a synthesized assembly, and its layers, as Lambda does; files are linked."""
    runtime = target / "var" / "runtime"
    link(BROUGHT, runtime)
    found = {}
    for template in templates.values():
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                function = _unpack(assembly, template, resource["Properties"], target, runtime)
                found[function.name] = function
    return found


def _unpack(assembly: Path, template: Any, properties: Any, target: Path, runtime: Path) -> Unpacked:
    variables = properties["Environment"]["Variables"]
    name = variables["POWERTOOLS_SERVICE_NAME"]
    layers = [template["Resources"][layer["Ref"]]["Properties"]["Content"] for layer in properties["Layers"]]
    together = "-".join(layer["S3Key"].partition(".")[0] for layer in layers)
    task, opt = target / name / "var" / "task", target / "opt" / together
    shutil.copytree(_asset(assembly, properties["Code"]), task, copy_function=os.link)
    if not opt.exists():
        for layer in layers:
            shutil.copytree(_asset(assembly, layer), opt, copy_function=os.link, dirs_exist_ok=True)
    known = {key: value for key, value in variables.items() if isinstance(value, str)}
    known["_HANDLER"] = properties["Handler"]
    return Unpacked(name, task, opt, runtime, target / "bytecode", known)


def _asset(assembly: Path, stored: Mapping[str, str]) -> Path:
    # If the name of the checkout's folder has a dot, CDK takes the rest of the name for an extension.
    (found,) = assembly.glob(f"asset.{stored['S3Key'].removesuffix('.zip')}*")
    return found


class Runtime:
    """A running function with its Runtime API.

    References
    ----------
    AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes", version 2018-06-01.
    """

    def __init__(self, function: Unpacked, variables: Mapping[str, str]) -> None:
        self._events: queue.Queue[str] = queue.Queue()
        self._answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _runtime_api(self._events, self._answers))
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.printed = function.task.parent / "log"
        own = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_LOG_GROUP_NAME": "log",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "LAMBDA_TASK_ROOT": str(function.task),
            "LAMBDA_RUNTIME_DIR": str(function.runtime),
        }
        command = [*function.command(RUN), function.variables["_HANDLER"]]
        with self.printed.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=function.task,
                env={**function.variables, **variables, **own},
                stdout=log,
                stderr=log,
            )

    def invoke(self, event: Any) -> Any:
        """Return the response to an event. Raises RuntimeError with the handler's exception."""
        self._events.put(json.dumps(event))
        try:
            kind, answer = self._answers.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise TimeoutError(self.printed.read_text()) from None
        if kind != "response":
            raise RuntimeError(answer["errorMessage"])
        return answer

    def stop(self) -> None:
        """Stop the function."""
        self._process.kill()
        self._process.wait()
        self._server.shutdown()
        self._server.server_close()


def _runtime_api(events: "queue.Queue[str]", answers: "queue.Queue[tuple[str, Any]]") -> Any:
    class Api(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # so http.server calls it
            body = events.get().encode()
            self.send_response(200)
            self.send_header("Lambda-Runtime-Aws-Request-Id", os.urandom(16).hex())
            self.send_header("Lambda-Runtime-Deadline-Ms", "4102444800000")  # far away: nothing is cut short
            self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:r:0:function:f")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answers.put((self.path.rpartition("/")[2], json.loads(body)))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    return Api
