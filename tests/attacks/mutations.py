"""Random changes to valid inputs, from a seed, and inputs that repeat something very often."""

import random
from collections.abc import Iterator, Sequence
from itertools import permutations

MAX_BYTES = 200_000
TOKENS = (
    b"[",
    b'{"a":',
    b"}",
    b"]",
    b"null",
    b"NaN",
    b"1e999",
    b"-1",
    b"9" * 400,
    b"\\ud800",
    b"\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"../",
    b"\r\n",
    b"%00",
)
PIECES = (*(bytes([byte]) for byte in b'"\\{}[]:,;.%&=?/ 9'), b"\r\n", b"\xff", b'{"a":')
RUN_BYTES = 40_000


def long_runs(sample: bytes) -> Iterator[bytes]:
    """Yield inputs that repeat one or two of `PIECES`, for parsers whose time grows with the square."""
    middle = len(sample) // 2
    for unit in (*PIECES, *map(b"".join, permutations(PIECES, 2))):
        run = unit * (RUN_BYTES // len(unit))
        yield sample[:middle] + run + sample[middle:]
        yield b'{"' + b"[]" * 40 + run  # in JSON, a string without an end


def mutated(samples: Sequence[bytes], chance: random.Random, most: int = 8) -> bytes:
    """Return one of the samples with one to `most` random changes, at most `MAX_BYTES` long."""
    data = bytearray(chance.choice(samples))
    for _ in range(chance.randint(1, most)):
        chance.choice(CHANGES)(data, samples, chance)
    return bytes(data[:MAX_BYTES])


def _place(data: bytearray, chance: random.Random) -> int:
    # Headers, where lengths and kinds are, are changed as often as all that follows.
    most = min(len(data), 64) if chance.random() < 0.5 else len(data)
    return chance.randint(0, most)


def _flip_bit(data: bytearray, samples: Sequence[bytes], chance: random.Random) -> None:
    at = _place(data, chance)
    if at < len(data):
        data[at] ^= 1 << chance.randrange(8)


def _set_byte(data: bytearray, samples: Sequence[bytes], chance: random.Random) -> None:
    at = _place(data, chance)
    if at < len(data):
        data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, chance.randrange(256)))


def _cut(data: bytearray, samples: Sequence[bytes], chance: random.Random) -> None:
    at = _place(data, chance)
    del data[at : at + chance.choice((1, 2, 4, 16, len(data)))]


def _repeat(data: bytearray, samples: Sequence[bytes], chance: random.Random) -> None:
    at = _place(data, chance)
    data[at:at] = data[at : at + chance.randint(1, 32)] * chance.choice((1, 2, 50, 1_000))


def _insert(data: bytearray, samples: Sequence[bytes], chance: random.Random) -> None:
    at = _place(data, chance)
    data[at:at] = chance.choice(TOKENS) * chance.choice((1, 1, 3, 2_000))


def _splice(data: bytearray, samples: Sequence[bytes], chance: random.Random) -> None:
    other = chance.choice(samples)
    data[_place(data, chance) :] = other[_place(bytearray(other), chance) :]


CHANGES = (_flip_bit, _set_byte, _cut, _repeat, _insert, _splice)
