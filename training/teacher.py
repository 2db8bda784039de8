"""Scores of a large tagging network to learn from: YAMNet, a TFLite file that the user supplies."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE, LENGTH = 16_000, 15_600  # Hz, samples of YAMNet's input
CLASSES = 521

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
    FileNotFoundError, ValueError
        If there is no such file, or it is another network.
    """

    def __init__(self, path: Path) -> None:
        # Only installed for training.
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

        if not path.is_file():
            raise FileNotFoundError(f"{path}: file not found")
        try:
            self._network = Interpreter(model_path=str(path), num_threads=1)
            source = self._network.get_input_details()[0]
            self._network.resize_tensor_input(source["index"], [LENGTH])
            self._network.allocate_tensors()
        except (RuntimeError, ValueError) as fault:
            raise ValueError(f"{path}: must be YAMNet as a TFLite file ({fault})") from fault
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
