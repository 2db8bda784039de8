"""Textbook recursions, sample by sample in float64: the slow reference for tests of the fast filters."""

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp.validation import Signal, check_pair, check_signal

DOUBLE = np.dtype(np.float64)


def nlms_reference(
    x: ArrayLike,
    d: ArrayLike,
    taps: int,
    mu: float = 0.5,
    eps: float = 1e-6,
    *,
    leak: float = 0.0,
    gate: float = 0.0,
) -> tuple[Signal, Signal]:
    """Filter with normalised least mean squares, sample by sample.

    For each sample n, with x_n = (x[n], x[n-1], ..., x[n-taps+1]) and w starting from zero::

        y[n] = w . x_n        e[n] = d[n] - y[n]        w <- w + mu e[n] x_n / (eps + x_n . x_n)

    Parameters
    ----------
    x : (n,) array_like
        Reference signal.
    d : (n,) array_like
        Primary signal; the part that is a filtered x is removed.
    taps : int
        Filter length.
    mu : float, 0 <= mu <= 2
        Step size; 1 converges fastest, 0 does not adapt.
    eps : float
        Regularisation, in the units of x_n . x_n: power times taps.
    leak : float
        Fraction of the weights lost at each update: w <- (1 - leak) w + ...
    gate : float
        Mean power x_n . x_n / taps below which the weights leak but do not adapt.

    Returns
    -------
    y, e : (n,) float64
        Filter output and residual, both before the update of their own sample.

    References
    ----------
    Haykin, Adaptive Filter Theory, 5th ed., section 6.1.

    Examples
    --------
    >>> y, e = nlms_reference([1.0, 1.0, 1.0], [0.5, 0.5, 0.5], taps=1, mu=0.5)
    >>> e.round(3).tolist()
    [0.5, 0.25, 0.125]
    """
    x, d = check_pair(x, d, DOUBLE)
    w, x_n = np.zeros(taps), np.zeros(taps)
    y, e = np.zeros(x.size), np.zeros(x.size)
    for n in range(x.size):
        x_n = np.concatenate([x[n : n + 1], x_n[:-1]])
        y[n] = w @ x_n
        e[n] = d[n] - y[n]
        mu_n = mu / (eps + x_n @ x_n) if x_n @ x_n >= gate * taps else 0.0
        w = (1 - leak) * w + mu_n * e[n] * x_n
    return y, e


def fxnlms_reference(
    x: ArrayLike,
    d: ArrayLike,
    taps: int,
    mu: float = 0.1,
    eps: float = 1e-6,
    secondary: ArrayLike = (1.0,),
    path: ArrayLike | None = None,
) -> tuple[Signal, Signal]:
    """Filter with filtered-x normalised least mean squares, sample by sample.

    The anti-noise y passes the secondary path s before it is added to d, so the update uses the reference
    filtered by the model S of that path, v = S * x::

        y[n] = w . x_n        e[n] = d[n] - (s * y)[n]        w <- w + mu e[n] v_n / (eps + v_n . v_n)

    Parameters
    ----------
    x, d : (n,) array_like
        Reference, and noise at the error microphone without control.
    taps, mu, eps
        As in `nlms_reference`; eps in the units of v_n . v_n.
    secondary : (m,) array_like
        Model S of the path from driver to error microphone: impulse response, tap 0 first. The default of one
        unit sample makes this NLMS.
    path : (p,) array_like, optional
        The true path s, if it differs from its model.

    Returns
    -------
    y, e : (n,) float64
        Driver signal and residual at the error microphone.

    References
    ----------
    Kuo & Morgan, Active Noise Control Systems, 1996, section 3.2.

    Examples
    --------
    >>> y, e = fxnlms_reference([1.0, 1.0, 1.0], [0.5, 0.5, 0.5], taps=1, mu=0.5, secondary=[2.0])
    >>> e.round(3).tolist()
    [0.5, 0.25, 0.125]
    """
    x, d = check_pair(x, d, DOUBLE)
    S = check_signal("secondary", secondary, DOUBLE)
    s = S if path is None else check_signal("path", path, DOUBLE)
    v = np.convolve(x, S)[: x.size]
    w, x_n, v_n, y_n = np.zeros(taps), np.zeros(taps), np.zeros(taps), np.zeros(s.size)
    y, e = np.zeros(x.size), np.zeros(x.size)
    for n in range(x.size):
        x_n = np.concatenate([x[n : n + 1], x_n[:-1]])
        v_n = np.concatenate([v[n : n + 1], v_n[:-1]])
        y[n] = w @ x_n
        y_n = np.concatenate([y[n : n + 1], y_n[:-1]])
        e[n] = d[n] - s @ y_n
        w = w + mu * e[n] * v_n / (eps + v_n @ v_n)
    return y, e
