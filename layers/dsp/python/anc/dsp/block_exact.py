"""What makes a block-exact filter fast: all products of windows of a run, and all inverses, in a few calls.

A run is `count` blocks of `size` samples with the `taps` - 1 samples before them; x_t is the window of `taps`
samples that ends at sample t.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from anc.dsp.validation import Signal

BASE = 4  # triangular systems are inverted row by row up to this size, by halves above it
BLOCK = 32  # samples solved at once: longer costs more products, shorter more calls
RUN_BYTES = 4096  # of samples prepared at once: beyond, their products leave the cache


def runs(n: int, dtype: np.dtype) -> Iterator[tuple[int, int, int]]:
    """Start, stop and block size of the runs that n samples make: blocks of 32, and the rest as one block."""
    rest, longest = n % BLOCK, RUN_BYTES // dtype.itemsize
    for start in range(0, n - rest, longest):
        yield start, min(start + longest, n - rest), BLOCK
    if rest:
        yield n - rest, n, rest


def gram(x: Signal, v: Signal, taps: int, size: int) -> Signal:
    """Inner products of the windows of x with the present and past windows of v, within each block.

    Neighbouring windows share nearly all their products. These are added up forward from the start of each
    block and backward from its end, and a window is one sum of either kind plus the middle that all windows
    of a block share (van Herk, Pattern Recognition Letters 13(7), 1992). Unlike in a running sum nothing is
    ever subtracted: a level that drops by 80 dB leaves no rounding error of the loud part behind.

    Parameters
    ----------
    x, v : (taps - 1 + count * size,) ndarray
    taps, size : int

    Returns
    -------
    (count, size, size) ndarray
        Entry [c, i, j] is x_i . v_j in block c for j <= i; entries with j > i mean nothing.
    """
    count = (x.size - taps + 1) // size
    if count == 1 or taps < size:
        X, V = (strided_view(part, 0, (count, size, taps), (size, 1, 1)) for part in (x, v))
        return X @ V.swapaxes(1, 2)
    # Entry [i, c, k] belongs to sample i of block c and to v delayed by size - 1 - k.
    padded = np.concatenate([np.zeros(size - 1, v.dtype), v])
    # The sums backward stand upside down beside those forward, so that one pass adds up both.
    sums = np.empty((size, 2, count, size), x.dtype)
    sums[0, 1] = 0
    for start, products in ((taps - 1, sums[:, 0]), (0, sums[:0:-1, 1])):
        delayed = strided_view(padded, start, products.shape, (1, size, 1))
        np.multiply(strided_view(x, start, (len(products), count, 1), (1, size, 0)), delayed, out=products)
    cumulative_sum(sums)
    total = sums[:, 0] + sums[::-1, 1]
    total += shared_window_sums(x, padded, taps, sums[-1, 0])
    return strided_view(total, size - 1, (count, size, size), (size, count * size - 1, 1))


def shared_window_sums(x: Signal, padded: Signal, taps: int, sums: Signal) -> Signal:
    """(count, size) sums of products over the samples that all windows of a block share, for each delay.

    They are whole blocks, whose sums are given for those of the run, (count, size), and a rest before them.
    """
    count, size = sums.shape
    whole, rest = divmod(taps - size, size)
    start = taps - 1 - whole * size
    earlier = strided_view(padded, start, (whole, size, size), (size, 1, 1))
    blocks = np.concatenate([(x[start : taps - 1].reshape(whole, 1, size) @ earlier)[:, 0], sums])
    total = np.zeros_like(sums)
    for row in range(whole):
        total += blocks[row : row + count]
    if rest:
        past = strided_view(padded, size - 1, (count, rest, size), (size, 1, 1))
        total += (strided_view(x, size - 1, (count, 1, rest), (size, 0, 1)) @ past)[:, 0]
    return total


def cumulative_sum(rows: Signal) -> None:
    """Cumulative sum over rows, in place; as whole-row additions, ten times as fast as numpy's."""
    for before, row in pairwise(list(rows)):
        np.add(before, row, row)


def invert_unit_lower(M: Signal) -> Signal:
    """Inverses of I + strict_lower(M); entries of M on and above the diagonal are not read.

    By halves: the inverse of [[A, 0], [B, C]] is [[A', 0], [-C' B A', C']].

    Parameters
    ----------
    M : (count, size, size) ndarray, contiguous

    Returns
    -------
    (count, size, size) ndarray
    """
    size = M.shape[-1]
    if size < 2 * BASE or size & (size - 1):
        return np.linalg.inv(np.tril(M, -1) + np.eye(size, dtype=M.dtype))
    inverse = np.zeros_like(M)
    invert_rows(diagonal_blocks(M, BASE), out=diagonal_blocks(inverse, BASE))
    half = BASE
    while half < size:
        below = diagonal_blocks(M, 2 * half)[..., half:, :half]
        whole = diagonal_blocks(inverse, 2 * half)
        upper, lower = whole[..., :half, :half], whole[..., half:, half:]
        np.negative(lower @ (below @ upper), out=whole[..., half:, :half])
        half *= 2
    return inverse


def invert_rows(M: Signal, out: Signal) -> None:
    """As `invert_unit_lower`, (..., size, size), by forward substitution on all matrices at once."""
    size = M.shape[-1]
    entries = M.transpose(2, 3, 0, 1).reshape(size, size, -1)
    inverse = np.zeros_like(entries)
    inverse[0, 0] = 1
    for i in range(1, size):
        np.einsum("jc,jkc->kc", entries[i, :i], inverse[:i, :i], out=inverse[i, :i])
        inverse[i, :i] *= -1
        inverse[i, i] = 1
    out[:] = inverse.reshape(size, size, *M.shape[:2]).transpose(2, 3, 0, 1)


def diagonal_blocks(M: Signal, size: int) -> Signal:
    """View (count, n / size, size, size) of the blocks on the diagonals of M, (count, n, n), contiguous."""
    count, n, _ = M.shape
    return strided_view(M, 0, (count, n // size, size, size), (n * n, size * (n + 1), n, 1))


def window_columns(stream: Signal, taps: int, size: int) -> Iterator[Signal]:
    """The windows of each block as a matrix (taps, size) that BLAS takes, a column a window.

    Row t of the one copy that is made holds the `size` samples from t on. The windows of a block are `taps`
    rows of it, and those of the next block begin `size` rows below: they share all rows but these.
    """
    rows = np.ascontiguousarray(strided_view(stream, 0, (stream.size - size + 1, size), (1, 1)))
    for start in range(0, stream.size - taps - size + 2, size):
        yield rows[start : start + taps]


def strided_view(array: Signal, start: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Signal:
    """Elements of a contiguous array from flat index `start` in `steps` of elements, within its bounds."""
    step = array.itemsize
    return np.ndarray(shape, array.dtype, array, start * step, tuple(step * each for each in steps))
