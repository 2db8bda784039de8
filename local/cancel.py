"""`anc cancel`: a two-channel recording in, the primary without what the reference explains out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from anc.dsp import FDAF, NLMS
from anc.wire.refusal import Refused, refuse

FDAF_BLOCK = 512
SECONDS_PER_READ = 1
FLOOR_DBFS = -120.0


class Report(NamedTuple):
    """What `cancel_file` did. Levels in dBFS; attenuation of energies, in dB, positive when noise fell."""

    seconds: float
    rate: int
    algorithm: str
    taps: int
    mu: float
    level_before_dbfs: float
    level_after_dbfs: float
    attenuation_db: float
    attenuation_last_half_db: float
    attenuation_by_second_db: list[float]
    clipped_samples: int

    def document(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in self._asdict().items()
        }


def cancel_file(
    source: Path,
    target: Path,
    algorithm: str = "fdaf",
    taps: int = 512,
    mu: float = 0.5,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Report:
    """Clean a recording in constant memory.

    Parameters
    ----------
    source : Path
        Two channels: the reference, and the primary that shall be cleaned. Any format that libsndfile reads.
    target : Path
        One channel, 16 bit, in the format of its ending.
    algorithm : {'fdaf', 'nlms'}
    taps : int
    mu : float, 0 < mu < 2
    progress : callable
        Called with samples done and samples in all.

    Raises
    ------
    Refused
        When the source is no sound file of two channels, or holds nothing, or values that are not finite, and
        when the target cannot be written.
    """
    adaptive: FDAF | NLMS = FDAF(taps, mu, block=FDAF_BLOCK) if algorithm == "fdaf" else NLMS(taps, mu)
    before: list[float] = []
    after: list[float] = []
    clipped = samples = 0
    part = target.with_stem(f".{target.stem}.part")  # a target that is there stays until the new one is whole
    try:
        with soundfile.SoundFile(source) as file:
            if file.channels != 2:
                refuse("bad_field", f"{source}: {file.channels} channels, 2 are needed (reference, primary)")
            rate, frames = file.samplerate, file.frames
            with _create(part, target, rate) as cleaned:
                size = -(-rate * SECONDS_PER_READ // FDAF_BLOCK) * FDAF_BLOCK
                for block in file.blocks(size, dtype="float32", always_2d=True):
                    e = _residual(adaptive, block)
                    clipped += int(np.count_nonzero(np.abs(e) > 1.0))
                    cleaned.write(np.clip(e, -1.0, 1.0))
                    before.append(float(block[:, 1] @ block[:, 1]))
                    after.append(float(e @ e))
                    samples += len(block)
                    progress(samples, frames)
        if not samples:
            refuse("bad_field", f"{source}: holds no samples")
        part.replace(target)
    except soundfile.SoundFileError as fault:
        raise Refused("bad_field", f"{source}: not a sound file that can be read ({fault})") from fault
    except (ValueError, TypeError) as fault:
        raise Refused("bad_field", f"{source}: {fault}") from fault
    finally:
        part.unlink(missing_ok=True)
    half = len(before) // 2
    return Report(
        seconds=samples / rate,
        rate=rate,
        algorithm=algorithm,
        taps=taps,
        mu=mu,
        level_before_dbfs=_db(sum(before) / samples),
        level_after_dbfs=_db(sum(after) / samples),
        attenuation_db=_fall(sum(before), sum(after)),
        attenuation_last_half_db=_fall(sum(before[half:]), sum(after[half:])),
        attenuation_by_second_db=[round(_fall(d, e), 2) for d, e in zip(before, after, strict=True)],
        clipped_samples=clipped,
    )


def _residual(adaptive: FDAF | NLMS, block: np.ndarray) -> np.ndarray:
    # The last block of a file is seldom whole: silence fills it up, and is cut off again.
    n = len(block)
    missing = -n % FDAF_BLOCK if isinstance(adaptive, FDAF) else 0
    padded = np.pad(block, ((0, missing), (0, 0)))
    _, e = adaptive.process(padded[:, 0], padded[:, 1])
    return e[:n]


def _create(part: Path, target: Path, rate: int) -> soundfile.SoundFile:
    subtype = "VORBIS" if target.suffix.lower() == ".ogg" else "PCM_16"
    try:
        return soundfile.SoundFile(part, "w", rate, 1, subtype)
    except (soundfile.SoundFileError, TypeError, ValueError) as fault:
        raise Refused("bad_field", f"{target}: cannot be written ({fault})") from fault


def _db(power: float) -> float:
    return max(10 * float(np.log10(power)), FLOOR_DBFS) if power > 0 else FLOOR_DBFS


def _fall(before: float, after: float) -> float:
    return _db(before) - _db(after)
