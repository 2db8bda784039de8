"""Vectorised kernels of the block-exact filters: Gram matrices of windows and batched triangular inverses.

A run is `count` blocks of `size` samples with the `taps` - 1 samples before them; x_t is the window of `taps`
samples that ends at sample t.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from anc.dsp.validation import Signal

BASE = 4  # matrices up to this size are inverted row by row, larger ones by halves
BLOCK = 32  # samples solved at once: longer blocks cost more products, shorter ones more calls
RUN_BYTES = 4096  # samples per run: the products of longer runs do not fit into the cache


def runs(n: int, dtype: np.dtype) -> Iterator[tuple[int, int, int]]:
    """Yield start, stop and block size of the runs in n samples: blocks of 32, then one shorter block."""
    rest, longest = n % BLOCK, RUN_BYTES // dtype.itemsize
    for start in range(0, n - rest, longest):
        yield start, min(start + longest, n - rest), BLOCK
    if rest:
        yield n - rest, n, rest


def gram(x: Signal, v: Signal, taps: int, size: int) -> Signal:
    """Return inner products of the windows of x with the present and past windows of v, for each block.

    Neighbouring windows share nearly all products. Products are summed forward from the start of each block
    and backward from its end; a window is one sum of each kind plus the part that all windows of the block
    share (van Herk, Pattern Recognition Letters 13(7), 1992). Unlike a running sum this subtracts nothing, so
    a level drop of 80 dB leaves no rounding error of the loud part behind.

    Parameters
    ----------
    x, v : (taps - 1 + count * size,) ndarray
    taps, size : int

    Returns
    -------
    (count, size, size) ndarray
        Entry [c, i, j] is x_i . v_j in block c for j <= i; entries with j > i are undefined.
    """
    count = (x.size - taps + 1) // size
    if count == 1 or taps < size:
        X, V = (strided_view(part, 0, (count, size, taps), (size, 1, 1)) for part in (x, v))
        return X @ V.swapaxes(1, 2)
    # Entry [i, c, k] belongs to sample i of block c and to v delayed by size - 1 - k.
    padded = np.concatenate([np.zeros(size - 1, v.dtype), v])
    # Backward sums are stored in reverse next to the forward ones, so one pass computes both.
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
    """Return the sums of products over the samples that all windows of a block share, by delay.

    The shared samples are whole blocks, preceded by a remainder.

    Parameters
    ----------
    sums : (count, size) ndarray
        Sums over each block of the run.

    Returns
    -------
    (count, size) ndarray
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
    """Replace rows by their cumulative sum, in place. Ten times as fast as `np.cumsum` along this axis."""
    for before, row in pairwise(list(rows)):
        np.add(before, row, row)


def invert_unit_lower(M: Signal) -> Signal:
    """Return the inverses of I + strict_lower(M). Entries of M on and above the diagonal are not read.

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
    """Write the inverses of I + strict_lower(M) to `out` by forward substitution, (..., size, size)."""
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
    """Return a view (count, n / size, size, size) of the diagonal blocks of contiguous M, (count, n, n)."""
    count, n, _ = M.shape
    return strided_view(M, 0, (count, n // size, size, size), (n * n, size * (n + 1), n, 1))


def window_columns(stream: Signal, taps: int, size: int) -> Iterator[Signal]:
    """Yield for each block its windows as the columns of a (taps, size) matrix in a layout that BLAS accepts.

    The stream is copied once: row t of the copy holds the `size` samples from t on. A block is `taps` rows of
    it, and the next block starts `size` rows below.
    """
    rows = np.ascontiguousarray(strided_view(stream, 0, (stream.size - size + 1, size), (1, 1)))
    for start in range(0, stream.size - taps - size + 2, size):
        yield rows[start : start + taps]


def strided_view(array: Signal, start: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Signal:
    """Return a view of a contiguous array from flat index `start`, with strides in elements."""
    step = array.itemsize
    return np.ndarray(shape, array.dtype, array, start * step, tuple(step * each for each in steps))
