"""Sound files for schemathesis."""

import io

import numpy as np
import schemathesis
import soundfile
from hypothesis import strategies as st

from anc.audio.formats import FORMATS

RATE = 8_000
KINDS = (*(each.media_types[0] for each in FORMATS), "application/octet-stream")


def noise(seconds: float, channels: int, seed: int) -> bytes:
    samples = 0.1 * np.random.default_rng(seed).standard_normal((int(RATE * seconds), channels))
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV")
    return file.getvalue()


for kind in KINDS:
    schemathesis.openapi.media_type(
        kind, st.builds(noise, st.floats(0.3, 1.0), st.sampled_from([1, 2]), st.integers(0, 99))
    )
