"""`python -m benchmarks.recordings`: how long an hour of two microphones takes, and how much memory.

Starts `anc up` on a folder of its own, uploads a stereo file as clients do, in parts, and follows the job.
The time counts from the last byte sent to the finished report, a tenth of the recording's being the aim; the
processor's time does not depend on what else the machine is doing. Memory is the most that the process held
during the hour, beside the most that it held during a recording of two minutes.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from anc.settings import Settings
from anc_client import Client
from benchmarks.processes import Server, circumstances, platform_running, write_down
from local.auth.issuer import Issuer

PATH = (0.0, 0.5, -0.3, 0.2, 0.1)  # from the reference to the primary microphone
AIM = 0.1  # of the recording's own time
SHORT_MIN = 2.0
EVERY_S = 0.25


def record(path: Path, minutes: float, rate: int) -> None:
    """Write noise at the reference, and the same through a short path at the primary, second by second."""
    rng, past = np.random.default_rng(1), np.zeros(len(PATH) - 1)
    with soundfile.SoundFile(path, "w", rate, 2) as file:
        for _ in range(round(60 * minutes)):
            x = np.concatenate([past, 0.1 * rng.standard_normal(rate)])
            d = np.convolve(x, PATH, "valid") + 1e-3 * rng.standard_normal(rate)
            file.write(np.stack([x[len(past) :], d], axis=1))
            past = x[-len(past) :]


def treat(server: Server, client: Client, path: Path) -> dict[str, Any]:
    """Have a file cleaned, and return what that took."""
    seconds = soundfile.info(path).duration
    server.forget_peak()
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
        "recording_s": seconds,
        "file_mb": path.stat().st_size / 1e6,
        "taken_s": taken,
        "cpu_s": server.cpu_s() - before,
        "share_of_real_time": taken / seconds,
        "peak_mb": server.peak_mb(),
        "steps_of_progress_seen": len(seen),
        "attenuation_db": found.summary["attenuation_db"],
    }


def table(results: dict[str, Any]) -> str:
    """Return every figure of both recordings as lines of text, and whether the aim was reached."""
    short, long = results["short"], results["long"]
    kind = f"stereo {results['format']} at {results['rate']} Hz"
    reached = "yes" if long["share_of_real_time"] <= AIM else "NO"
    return "\n".join(
        [
            results["circumstances"],
            "",
            f"{kind:28}{'short':>12}{'long':>12}",
            *(f"{figure:28}{short[figure]:12.4g}{long[figure]:12.4g}" for figure in long),
            "",
            f"faster than a tenth of real time: {reached}",
        ]
    )


def main() -> None:
    """Run, print, and write what was measured down if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recordings", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=48_000, help="Hz")
    parser.add_argument("--format", default="wav", choices=("wav", "flac", "ogg", "mp3"))
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--docs", action="store_true", help="write the figures into docs/performance.md")
    chosen = parser.parse_args()
    results: dict[str, Any] = {
        "circumstances": circumstances(),
        "format": chosen.format,
        "rate": chosen.rate,
    }
    with platform_running() as server, tempfile.TemporaryDirectory() as folder:
        token = Issuer(server.data, Settings()).issue("benchmark", "listener")
        with Client(f"http://127.0.0.1:{server.port}", token) as client:
            for name, minutes in (("short", SHORT_MIN), ("long", chosen.minutes)):
                path = Path(folder) / f"{name}.{chosen.format}"
                record(path, minutes, chosen.rate)
                results[name] = treat(server, client, path)
                path.unlink()
    print(table(results))
    if chosen.docs:
        write_down("recordings", f"```\n{table(results)}\n```")
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
