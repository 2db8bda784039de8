"""`python -m benchmarks.block`: where the processor time of a live block goes, from its frame to its answer.

Runs the function that answers frames on SQLite, in one thread, as a live worker of `anc up` does, and times
its parts. The WebSocket itself, and the way between the processes, are not included.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from anc.services import socket_requests
from anc.services.sound import detection, streaming
from benchmarks.live import LARGE, SMALL
from benchmarks.microphones import Format, blocks_of, start_message
from benchmarks.processes import environment, write_to_docs
from functions.audio_receiver import handler as audio_receiver
from local.lambda_context import LocalContext
from local.lambda_events import socket_event
from tests.fakes import Clock, FakePlatform, make_dependencies

WARM_UP = 20  # blocks
PARTS = {
    "hearing": (detection, "detect_in_block"),
    "adaptive filter": (streaming, "_filter"),
    "JSON and base64: request": (socket_requests, "parse_request"),
    "JSON and base64: samples in": (streaming, "decode_pcm"),
    "JSON and base64: samples out": (streaming, "encode_pcm"),
    "JSON and base64: answer": (audio_receiver, "encode"),
    "state to bytes": (streaming, "_next"),
}
COMMIT = "commit"


@contextmanager
def timed(platform: FakePlatform, spent: dict[str, float]) -> Iterator[None]:
    """Add the processor time of each part to `spent`."""

    def wrap(name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*arguments: Any, **options: Any) -> Any:
            begun = time.thread_time()
            try:
                return do(*arguments, **options)
            finally:
                spent[name] += time.thread_time() - begun

        return measured

    patches = [
        patch.object(owner, attribute, wrap(name, getattr(owner, attribute)))
        for name, (owner, attribute) in PARTS.items()
    ]
    patches.append(patch.object(platform.deps.streams, "put", wrap(COMMIT, platform.deps.streams.put)))
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


def measure(form: Format, blocks: int) -> dict[str, float]:
    """Return the milliseconds of a block, in total and by part; each is the median of ten runs."""
    runs: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        platform, frames = make_dependencies(Path(folder), Clock()), blocks_of(form)
        session = json.loads(_answer(platform, start_message(form)))["session"]
        seq = 0
        for number in range(11):
            spent: dict[str, float] = defaultdict(float)
            with timed(platform, spent):
                begun = time.thread_time()
                for _ in range(WARM_UP if number == 0 else blocks // 10):
                    pcm = frames[seq % len(frames)]
                    message = {"action": "audio", "session": session, "seq": seq, "pcm": pcm}
                    answer = _answer(platform, json.dumps(message))
                    assert '"type":"audio"' in answer, answer
                    platform.clock.now += form.block_s
                    seq += 1
                total = time.thread_time() - begun
            if number:
                for name, seconds in {"total": total, **spent}.items():
                    runs[name].append(1e3 * seconds / (blocks // 10))
    return {name: statistics.median(each) for name, each in runs.items()}


def _answer(platform: FakePlatform, body: str) -> str:
    who = {"principalId": "alice", "user": "alice", "role": "listener", "scopes": "", "key": ""}
    who["since"] = str(platform.clock.now)
    event = socket_event("MESSAGE", "$default", "socket", platform.clock.now, who, body=body)
    event["requestContext"]["requestTimeEpoch"] = int(1e3 * platform.clock.now)
    answer = audio_receiver.handler(event, LocalContext("audio_receiver"), platform.deps)
    return str(answer["body"])


def table(found: dict[Format, dict[str, float]]) -> str:
    """Return the parts of a block, the largest first, with the share of each."""
    lines = [environment()]
    for form, parts in found.items():
        total = parts["total"]
        grouped: dict[str, float] = defaultdict(float)
        for name, ms in parts.items():
            grouped[name.partition(":")[0]] += ms
        rest = total - (sum(grouped.values()) - total)
        rows = sorted(((ms, name) for name, ms in grouped.items() if name != "total"), reverse=True)
        lines += ["", str(form), f"{'whole block':20}{total:9.3f} ms"]
        lines += [
            f"{name:20}{ms:9.3f} ms{ms / total:8.0%}" for ms, name in [*rows, (rest, "everything else")]
        ]
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.block", description=__doc__)
    parser.add_argument("--blocks", type=int, default=2000, help="Blocks of each format.")
    parser.add_argument("--docs", action="store_true", help="Write the results into docs/performance.md.")
    chosen = parser.parse_args()
    text = table({form: measure(form, max(chosen.blocks, 10)) for form in (LARGE, SMALL)})
    print(text)
    if chosen.docs:
        write_to_docs("block", f"```\n{text}\n```")


if __name__ == "__main__":
    main()
