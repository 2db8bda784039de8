"""`python -m tests.attacks.sound_files`: pass mutated sound files of every format to the decoder.

Each format has a child process with limits of memory and of processor time for one file, so that a crash or
an endless loop of a native library is found and does not end the run. The seed repeats a run; `--json` writes
the figures of `docs/formats.md`, with `--only` those of one format. Exits with 1 when there was a fault.
"""

import argparse
import io
import json
import mmap
import os
import random
import resource
import secrets
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anc.audio.reader import BLOCK, MAX_CHANNELS, MAX_PEAK, AudioReader, open_short
from anc.sample_rates import MAX_RATE, MIN_RATE
from anc.schemas.refusal import Refused
from tests.attacks.mutations import mutated
from tests.attacks.quiet import quiet_decoders
from tests.sound_kinds import KINDS, with_ogg_checksums

ROOT = Path(__file__).parents[2]
SECONDS = 0.2  # of sound in a file before it is changed
FRAMES_READ = 1 << 18  # of a changed file; more are as the first ones
MEMORY_BYTES = 512 * 1024**2  # that a child may allocate beyond what it has at the start
FILE_S = 20.0  # processor time for one file, after which its child is ended
MEASURED = 4  # the length of every fourth file is measured first, as that of a file in a request
CORRECTED = 0.8
MOST_CHANGES = 2  # with more, few files are recognised
MAX_FAULTS = 20  # of one format
FORMATS = tuple(dict.fromkeys(kind.format for kind in KINDS))
OPTIONS = {format.partition(" ")[0].lower(): format for format in FORMATS}  # by argument of `--only`
OUTCOMES = ("read", "read in part", "refused")
FILE, STATE = 0, struct.Struct("<q3qdq")  # next file, outcomes, longest in seconds, peak in bytes


class Fault(Exception):
    """Raised if a file is not read as `AudioReader` promises."""


def samples_of(format: str) -> list[bytes]:
    """Return one valid file of every kind of a format."""
    return [kind.make(SECONDS) for kind in KINDS if kind.format == format]


def mutation(samples: Sequence[bytes], format: str, seed: int, number: int) -> bytes:
    """Return a changed file, which depends on its arguments alone."""
    chance = random.Random(f"{seed} {format} {number}")
    data = mutated(samples, chance, MOST_CHANGES)
    # FFmpeg drops Ogg pages with a wrong checksum, which protects the decoders from accidents alone.
    return with_ogg_checksums(data) if format == "Ogg" and chance.random() < CORRECTED else data


def outcome_of(data: bytes, measures: bool = False) -> str:
    """Read a file; return one of `OUTCOMES`. Raises Fault."""
    try:
        with open_short(data) if measures else AudioReader(io.BytesIO(data)) as reader:
            frames = _read(reader)
            if measures and reader.ended and reader.frames != frames:
                raise Fault(f"{reader.frames} samples measured, {frames} read")
            return OUTCOMES[reader.truncated]
    except Refused as refusal:
        if not refusal.message.startswith("file: "):
            raise Fault(f"refusal without its subject: {refusal.message}") from refusal
        return "refused"


def _read(reader: AudioReader) -> int:
    if not (MIN_RATE <= reader.rate <= MAX_RATE and 1 <= reader.channels <= MAX_CHANNELS):
        raise Fault(f"{reader.rate} Hz, {reader.channels} channels")
    frames = 0
    while not reader.ended and frames < FRAMES_READ:
        block = reader.read(BLOCK)
        frames += len(block)
        if block.shape[1] != reader.channels or block.dtype != np.float32:
            raise Fault(f"a block of {block.shape} {block.dtype} with {reader.channels} channels")
        if block.size and not np.abs(block).max() <= MAX_PEAK:
            raise Fault("samples beyond the maximum")
    return frames


def child(format: str, seed: int, mutations: int, folder: Path) -> None:
    """Read the files of a format from the one that `folder/state` names."""
    samples = samples_of(format)
    for sample in samples:  # loads everything before memory is limited
        outcome_of(sample)
    limit = MEMORY_BYTES + resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with (folder / "state").open("r+b") as file, mmap.mmap(file.fileno(), STATE.size) as shared:
        first, *counts, longest_s, _ = STATE.unpack(shared[:])
        for number in range(first, mutations):
            peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            shared[:] = STATE.pack(number, *counts, longest_s, peak)
            data = mutation(samples, format, seed, number)
            signal.setitimer(signal.ITIMER_PROF, FILE_S)  # ends the process
            try:
                counts[OUTCOMES.index(outcome_of(data, number % MEASURED == 0))] += 1
            except Exception as error:
                _report(folder, number, f"{type(error).__name__}: {error}"[:200])
            longest_s = max(longest_s, FILE_S - signal.getitimer(signal.ITIMER_PROF)[0])
        shared[:] = STATE.pack(mutations, *counts, longest_s, peak)


def _report(folder: Path, number: int, error: str) -> None:
    with (folder / "faults").open("a") as file:
        file.write(json.dumps({"number": number, "error": error}) + "\n")


def run(format: str, seed: int, mutations: int, folder: Path) -> dict[str, Any]:
    """Read the mutations of a format in child processes; return the figures and faults."""
    (folder / "state").write_bytes(bytes(STATE.size))
    (folder / "faults").touch()
    command = [
        sys.executable,
        "-m",
        __spec__.name,
        "--child",
        str(folder),
        "--only",
        format.partition(" ")[0],
    ]
    faults: list[dict[str, Any]] = []
    state = STATE.unpack(bytes(STATE.size))
    while state[FILE] < mutations and len(faults) < MAX_FAULTS:
        code = subprocess.call([*command, "--seed", str(seed), "--mutations", str(mutations)], cwd=ROOT)
        state = STATE.unpack((folder / "state").read_bytes())
        if code < 0:  # by a signal
            _report(folder, state[FILE], signal.Signals(-code).name)
            state = (state[FILE] + 1, *state[1:])
            (folder / "state").write_bytes(STATE.pack(*state))
        elif code:
            raise RuntimeError(f"the child for {format} ended with {code}")
        faults = [json.loads(line) for line in (folder / "faults").read_text().splitlines()]
    return {
        "mutations": state[FILE],
        **dict(zip(OUTCOMES, state[1:4], strict=True)),
        "faults": faults,
        "longest_s": round(state[4], 3),
        "peak_mb": round(state[5] / 1e6),
    }


def known_figures(path: Path, seed: int, mutations: int) -> dict[str, Any]:
    """Return the figures in a file. Raises ValueError if they are of another seed or number of files."""
    if not path.exists():
        return {}
    known = json.loads(path.read_text())
    if (known["seed"], known["mutations"]) != (seed, mutations):
        raise ValueError(
            f"{path}: has figures of --seed {known['seed']} --mutations {known['mutations']}; give the same, "
            "or another file"
        )
    return dict(known["formats"])


def write_figures(path: Path, seed: int, mutations: int, formats: dict[str, Any]) -> None:
    """Write the figures of `docs/formats.md`."""
    figures = {
        "seed": seed,
        "mutations": mutations,
        "formats": {name: formats[name] for name in FORMATS if name in formats},
    }
    path.write_text(json.dumps(figures, indent=1) + "\n")


def main() -> int:
    """Run, print, and return the exit code."""
    options = argparse.ArgumentParser(prog="python -m tests.attacks.sound_files", description=__doc__)
    options.add_argument("--mutations", type=int, default=100_000, help="files of each format")
    options.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="random by default")
    options.add_argument("--only", choices=OPTIONS, type=str.lower, help="one format")
    options.add_argument("--json", type=Path, help="file for the figures")
    options.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        with quiet_decoders():
            child(OPTIONS[chosen.only], chosen.seed, chosen.mutations, chosen.child)
        return 0
    try:
        known = (
            known_figures(chosen.json, chosen.seed, chosen.mutations) if chosen.json and chosen.only else {}
        )
    except ValueError as fault:
        options.error(str(fault))
    print(f"seed {chosen.seed}", flush=True)
    results = {}
    for format in [OPTIONS[chosen.only]] if chosen.only else FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            results[format] = run(format, chosen.seed, chosen.mutations, Path(folder))
        print(f"{format:10} {json.dumps(results[format])}", flush=True)
    if chosen.json:
        write_figures(chosen.json, chosen.seed, chosen.mutations, known | results)
    return int(any(result["faults"] for result in results.values()))


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
