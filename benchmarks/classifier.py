"""Time that a quarter second of sound takes the classifier on one core: `python -m benchmarks.classifier`."""

import argparse
import time

import numpy as np

from anc.noise import Classifier, MultichannelClassifier

CHANNELS = (1, 2)


def step_ms(rate: int = 16_000, steps: int = 400) -> dict[int, tuple[float, float]]:
    """Return the smallest and the median time of a step in ms, by number of channels.

    The channels differ, and the numbers of channels take turns, so that a busy machine is busy for both.
    """
    classifier = Classifier.load()
    rng = np.random.default_rng(0)
    streams = {n: MultichannelClassifier(classifier, rate, n) for n in CHANNELS}
    times: dict[int, list[float]] = {n: [] for n in CHANNELS}
    for step in range(steps + 8):
        for n, stream in streams.items():
            block = (0.1 * rng.standard_normal((rate // 4, n))).astype(np.float32)
            began = time.thread_time()
            predictions = stream.process(block)
            if step >= 8:  # the streams have a full memory
                assert len(predictions) == 1
                times[n].append(1e3 * (time.thread_time() - began))
    return {n: (float(np.min(one)), float(np.median(one))) for n, one in times.items()}


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=16_000, help="Hz")
    parser.add_argument("--steps", type=int, default=400)
    options = parser.parse_args()
    for n, (least, median) in step_ms(options.rate, options.steps).items():
        print(f"{n} channels: {least:.2f} ms, median {median:.2f} ms of CPU for 0.25 s of sound")


if __name__ == "__main__":
    main()
