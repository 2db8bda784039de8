"""`python -m benchmarks.tracing`: what traces cost, as CPU time with them over CPU time without them.

Two platforms in this process take turns, one with traces and one without, so that both see the same load of
the machine: each processes a snapshot, from the queue to the shadow, or a live block. Traces are sent to a
collector in another process after each round, and the time of sending them is included.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from msgspec.structs import replace

from anc.pcm import float_to_int16
from anc.schemas.snapshot import Snapshot
from anc.settings import Settings
from benchmarks.processes import environment, write_to_docs
from functions.routes import QUEUES
from local.configuration import LaunchSettings
from local.lambda_events import rest_event, socket_event
from local.process import free_port
from local.public_address import PublicAddress
from local.server import LocalPlatform
from local.storage.queues import QueueWorker
from local.tracing import OtlpTracing

RATE, TAPS = 16_000, 256
SNAPSHOTS, BLOCKS = 64, 640  # in a round; the spans of 64 traced snapshots are one full batch of the exporter
SILENCE = base64.b64encode(np.zeros((1024, 2), "<i2").tobytes()).decode()
USER = {"principalId": "ann", "user": "ann", "role": "listener"}
COLLECTOR = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Bench:
    """A platform with a headset and a live session."""

    def __init__(self, data: Path, launch: LaunchSettings) -> None:
        settings = Settings(emergency_detection_enabled=False, headset_snapshots_per_minute=6000)
        self._platform = LocalPlatform(data, PublicAddress.of("127.0.0.1", 8080), settings, launch=launch)
        body = json.dumps({"thing": "left", "secondary": [0.0, 0.5, 0.2], "rate": RATE, "taps": TAPS})
        headers = {"content-type": "application/json"}
        path = "/api/devices"
        event = rest_event("POST", path, path, {}, {}, headers, body, False, USER, "127.0.0.1")
        assert self._platform.invoke("rest_api", event)["statusCode"] == 201
        self._session = self._say({"action": "start", "rate": RATE, "taps": TAPS})["session"]
        self._seq = 0

    def snapshot(self) -> None:
        """Process a snapshot, from the queue to the shadow."""
        self._seq += 1
        x = 0.05 * np.random.default_rng(self._seq).standard_normal(RATE)
        pcm = float_to_int16(np.stack([x, np.concatenate([np.zeros(3), 0.6 * x[:-3]])], axis=1))
        payload = base64.b64encode(Snapshot(self._seq, RATE, RATE, "", pcm=pcm).encode()).decode()
        document = {"kind": "snapshot", "thing": "left", "payload": payload, "at": int(1000 * time.time())}
        self._platform._queues["snapshots"].put(document)
        self._process("snapshots")
        self._process("updates")

    def block(self) -> None:
        """Filter a block of a live session."""
        self._seq += 1
        answer = self._say({"action": "audio", "session": self._session, "seq": self._seq, "pcm": SILENCE})
        assert "attenuation_db" in answer, answer

    def flush(self) -> None:
        """Send all spans to the collector."""
        if isinstance(self._platform._tracing, OtlpTracing):
            self._platform._tracing.flush()

    def _say(self, frame: dict[str, Any]) -> dict[str, Any]:
        event = socket_event("MESSAGE", "audio", "socket", 0.0, USER, body=json.dumps(frame))
        answer: dict[str, Any] = json.loads(self._platform.invoke("audio_receiver", event)["body"])
        return answer

    def _process(self, name: str) -> None:
        (route,) = [route for route in QUEUES if route.name == name]
        queue = self._platform._queues[name]
        QueueWorker(queue, route, partial(self._platform.invoke, route.function))._deliver(queue.receive(10))


def cpu_s(work: Callable[[], None]) -> float:
    """Return the CPU time of this process for some work."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def compare(off: Bench, on: Bench, work: str, number: int, rounds: int) -> tuple[float, float, float]:
    """Return the median CPU time of some work without and with traces, and the median of their ratio."""
    pairs = []
    for _ in range(rounds):
        spent = [0.0, 0.0]
        for each in range(number):
            for which in (each % 2, 1 - each % 2):
                spent[which] += cpu_s(getattr((off, on)[which], work))
        spent[1] += cpu_s(on.flush)
        pairs.append(spent)
    without, with_ = (median(each[which] for each in pairs) / number for which in (0, 1))
    return without, with_, median(each[1] / each[0] for each in pairs)


def main() -> None:
    """Measure, and print the table or write it to the page."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=30)
    arguments.add_argument("--docs", action="store_true", help="write the table to docs/performance.md")
    given = arguments.parse_args()
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "3600000"  # spans are sent by `flush` only
    port = free_port()
    collector = subprocess.Popen([sys.executable, "-c", COLLECTOR, str(port)])
    try:
        with tempfile.TemporaryDirectory() as folder:
            off = Bench(Path(folder) / "off", LaunchSettings())
            launch = LaunchSettings(otel_exporter_otlp_endpoint=f"http://127.0.0.1:{port}")
            on = Bench(Path(folder) / "on", launch)
            time.sleep(1)  # until the collector listens
            everything = Bench(Path(folder) / "all", replace(launch, anc_traced_snapshots=1.0))
            for bench in (off, on, everything):  # what is computed once
                bench.snapshot(), bench.block()
            snapshots = compare(off, on, "snapshot", SNAPSHOTS, given.rounds)
            all_snapshots = compare(off, everything, "snapshot", SNAPSHOTS, given.rounds)
            blocks = compare(off, on, "block", BLOCKS, given.rounds)
    finally:
        collector.terminate()
    lines = [
        f"{given.rounds} rounds, {environment()}:",
        "",
        "| work | traced | CPU time without traces | with traces | median of the ratios |",
        "|---|---|---|---|---|",
    ]
    for name, share, (without, with_, ratio) in (
        ("snapshot, from the queue to the shadow", "25 %, the default", snapshots),
        ("snapshot, from the queue to the shadow", "all", all_snapshots),
        ("live block of 1,024 samples", "1 %, the default", blocks),
    ):
        times = f"{1e3 * without:.2f} ms | {1e3 * with_:.2f} ms"
        lines.append(f"| {name} | {share} | {times} | {ratio - 1:+.1%} |")
    print("\n".join(lines))
    if given.docs:
        write_to_docs("tracing", "\n".join(lines))


if __name__ == "__main__":
    main()
