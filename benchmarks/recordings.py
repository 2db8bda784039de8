"""`python -m benchmarks.recordings`: time and memory to process an hour of two microphones.

Starts `anc up` with a temporary data folder, uploads a stereo file in parts, and follows the job. Time is
measured from the last byte sent to the finished report; the target is a tenth of the recording's length. CPU
time is independent of other load on the machine. Peak memory is compared with that of a two-minute recording.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

from anc.settings import Settings
from anc_client import Client
from benchmarks.processes import Server, environment, platform_running, write_to_docs
from local.auth.issuer import Issuer

PATH = (0.0, 0.5, -0.3, 0.2, 0.1)  # from the reference to the primary microphone
TARGET = 0.1  # of the length of the recording
SHORT_MIN = 2.0
EVERY_S = 0.25


def record(path: Path, minutes: float, rate: int) -> None:
    """Write noise at the reference, and the same filtered by a short path at the primary."""
    seconds = _two_microphones(round(60 * minutes), rate)
    if path.suffix == ".m4a":
        _encode_aac(path, seconds, rate)
        return
    with soundfile.SoundFile(path, "w", rate, 2) as file:
        for block in seconds:
            file.write(block)


def _two_microphones(seconds: int, rate: int) -> Iterator[np.ndarray]:
    rng, past = np.random.default_rng(1), np.zeros(len(PATH) - 1)
    for _ in range(seconds):
        x = np.concatenate([past, 0.1 * rng.standard_normal(rate)])
        d = np.convolve(x, PATH, "valid") + 1e-3 * rng.standard_normal(rate)
        yield np.stack([x[len(past) :], d], axis=1)
        past = x[-len(past) :]


def _encode_aac(path: Path, blocks: Iterable[np.ndarray], rate: int) -> None:
    with av.open(path, "w", format="ipod") as output:
        stream = output.add_stream("aac", rate=rate, layout="stereo", bit_rate=128_000)
        for block in blocks:
            frame = av.AudioFrame.from_ndarray(block.astype(np.float32).reshape(1, -1), "flt", "stereo")
            frame.sample_rate = rate
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def process(server: Server, client: Client, path: Path) -> dict[str, Any]:
    """Process a file and return its time, CPU time and memory."""
    server.reset_peak()
    before = server.cpu_s()
    with path.open("rb") as file:
        job = client.upload(file)
    begun = time.perf_counter()
    seen: set[float] = set()
    for found in client.follow(job, EVERY_S):
        seen.add(found.progress)
    taken = time.perf_counter() - begun
    if found.state != "done":
        raise RuntimeError(found.failure)
    client.remove_job(job)
    return {
        "recording_s": found.summary["seconds"],
        "file_mb": path.stat().st_size / 1e6,
        "taken_s": taken,
        "cpu_s": server.cpu_s() - before,
        "share_of_real_time": taken / found.summary["seconds"],
        "peak_mb": server.peak_mb(),
        "steps_of_progress_seen": len(seen),
        "attenuation_db": found.summary["attenuation_db"],
    }


def table(results: dict[str, Any]) -> str:
    """Return the results of both recordings as text, and whether the target was reached."""
    short, long = results["short"], results["long"]
    kind = f"stereo {results['format']} at {results['rate']} Hz"
    reached = "yes" if long["share_of_real_time"] <= TARGET else "NO"
    return "\n".join(
        [
            results["environment"],
            "",
            f"{kind:28}{'short':>12}{'long':>12}",
            *(f"{figure:28}{short[figure]:12.4g}{long[figure]:12.4g}" for figure in long),
            "",
            f"faster than a tenth of real time: {reached}",
        ]
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recordings", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="Length of the recording.")
    parser.add_argument("--rate", type=int, default=48_000, help="Sample rate, Hz.")
    parser.add_argument(
        "--format", default="wav", choices=("wav", "flac", "ogg", "mp3", "m4a"), help="File format."
    )
    parser.add_argument("--json", type=Path, help="Write the results to this file.")
    parser.add_argument(
        "--docs", action="store_true", help="Write the results of wav or m4a into docs/performance.md."
    )
    chosen = parser.parse_args()
    results: dict[str, Any] = {
        "environment": environment(),
        "format": chosen.format,
        "rate": chosen.rate,
    }
    with platform_running() as server, tempfile.TemporaryDirectory() as folder:
        token = Issuer(server.data, Settings()).issue("benchmark", "listener")
        with Client(f"http://127.0.0.1:{server.port}", token) as client:
            for name, minutes in (("short", SHORT_MIN), ("long", chosen.minutes)):
                path = Path(folder) / f"{name}.{chosen.format}"
                record(path, minutes, chosen.rate)
                results[name] = process(server, client, path)
                path.unlink()
    print(table(results))
    if chosen.docs:
        write_to_docs(
            "recordings" if chosen.format == "wav" else f"recordings-{chosen.format}",
            f"```\n{table(results)}\n```",
        )
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
