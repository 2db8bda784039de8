"""Requests to the noise classification endpoint (`sagemaker/inference.py`)."""

import msgspec


class EndpointRequest(msgspec.Struct, frozen=True):
    """A sound to classify.

    Attributes
    ----------
    rate : int
        Sample rate in Hz.
    pcm : str
        int16 little-endian, mono, base64.
    """

    rate: int
    pcm: str
