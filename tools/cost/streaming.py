"""The cost of designs that stream all sound to the cloud and back, for comparison.

They are too slow to cancel noise (`docs/dsp.md`). Every block is a frame in, a frame out, a call and a write.
"""

from collections.abc import Mapping
from math import ceil

from tools.cost.prices import FunctionUsage

KB = 1024
LIVE_RATE, BLOCK = 48_000, 1024
LONG_BLOCK_RATE, LONG_BLOCK_S = 16_000, 0.2
CHANNELS, SAMPLE_BYTES = 2, 2
FRAME_OVERHEAD_BYTES = 200  # JSON around the PCM
STATE_BYTES = 4_200  # of an NLMS session


def every_block(hours: float, work: FunctionUsage) -> Mapping[str, float]:
    """Return the units of streaming blocks of 1,024 samples at 48 kHz for so many headset hours."""
    return _streamed(hours, BLOCK / LIVE_RATE, BLOCK, work.block_s, work.memory_gb)


def long_blocks(hours: float, work: FunctionUsage) -> Mapping[str, float]:
    """Return the units of streaming blocks of 200 ms at 16 kHz."""
    samples = int(LONG_BLOCK_S * LONG_BLOCK_RATE)
    return _streamed(hours, LONG_BLOCK_S, samples, work.long_block_s, work.memory_gb)


def _streamed(
    hours: float, block_s: float, samples: int, call_s: float, memory_gb: float
) -> Mapping[str, float]:
    seconds = 3600 * hours
    blocks = seconds / block_s
    up = _frame_bytes(samples * CHANNELS * SAMPLE_BYTES)
    down = _frame_bytes(samples * SAMPLE_BYTES)
    return {
        "websocket_message": blocks * (ceil(up / (32 * KB)) + ceil(down / (32 * KB))),
        "websocket_minute": seconds / 60,
        "lambda_request": blocks,
        "lambda_gb_s": blocks * call_s * memory_gb,
        "dynamodb_write": blocks * ceil(STATE_BYTES / KB),
        "kms_key": 1,
        "transfer_gb": blocks * down / 1e9,
    }


def _frame_bytes(size: int) -> int:
    return 4 * ceil(size / 3) + FRAME_OVERHEAD_BYTES
