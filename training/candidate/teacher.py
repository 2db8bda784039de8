"""Scores of a large tagging network to learn from: YAMNet, a TFLite file that the user supplies."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE, LENGTH = 16_000, 15_600  # Hz, samples of YAMNet's input
CLASSES = 521

# Classes of AudioSet that the student learns beside its own, by index in YAMNet's class map.
AUXILIARY = np.array(
    [
        *(0, 1, 6, 11, 13, 19, 20, 24, 35, 42, 44, 64),  # people: speech to crowd
        *(67, 69, 76, 85, 93, 96, 106, 112, 121),  # animals
        *(132, 133, 150, 153, 180, 191, 195, 196, 200),  # music and bells
        *(277, 281, 282, 283, 288, 292, 293),  # wind, water and fire
        *(294, 300, 301, 302, 303, 304, 310, 312, 313, 316, 317, 318, 319),  # on the road
        *(322, 323, 324, 325, 329, 333, 337),  # trains, aircraft and engines
        *(341, 349, 371, 382, 383, 385, 389, 390, 391, 392, 393, 394, 395, 396),  # machines to whistles
        *(398, 401, 412, 418, 475, 479, 490, 494, 495, 497, 500, 503, 507),  # mechanisms, tones and noise
    ]
)
# Vehicle horn, toot, car alarm, air horn, emergency vehicles, train horn, alarms, sirens and foghorn.
EMERGENCIES = np.array([302, 303, 304, 312, 316, 317, 318, 319, 325, 382, 390, 391, 393, 394, 395])


class Teacher:
    """YAMNet.

    Parameters
    ----------
    path : Path
        ``yamnet.tflite`` as published: 15,600 samples to 521 scores.

    Raises
    ------
    ValueError
        If the file is another network.
    """

    def __init__(self, path: Path) -> None:
        # Only installed for training.
        from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]  # noqa: PLC0415

        self._network = Interpreter(model_path=str(path), num_threads=1)
        source = self._network.get_input_details()[0]
        self._network.resize_tensor_input(source["index"], [LENGTH])
        self._network.allocate_tensors()
        self._source = source["index"]
        target = self._network.get_output_details()[0]
        self._target = target["index"]
        if int(target["shape"][-1]) != CLASSES:
            raise ValueError(f"{path}: must have {CLASSES} classes (got {target['shape'][-1]})")

    def __call__(self, samples: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the scores, (521,), of a sound, (15600,) at 16 kHz."""
        self._network.set_tensor(self._source, np.asarray(samples, np.float32))
        self._network.invoke()
        return np.asarray(self._network.get_tensor(self._target)[0], np.float32)
