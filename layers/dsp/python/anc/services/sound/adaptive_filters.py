"""Create and restore the adaptive filters of live sessions and recordings."""

from typing import Literal, TypeAlias

from anc.dsp import FDAF, NLMS, Predictor

AdaptiveFilter: TypeAlias = NLMS | FDAF | Predictor
Algorithm = Literal["nlms", "fdaf"]


def new_filter(
    mode: Literal["cancel", "predict"],
    algorithm: Algorithm,
    taps: int,
    mu: float,
    *,
    horizon: int,
    fdaf_block: int,
) -> AdaptiveFilter:
    """Return a new filter for a mode: `Predictor` for `predict`, else the named algorithm.

    Parameters
    ----------
    horizon : int
        Samples ahead, for `predict`.
    fdaf_block : int
        Block length of `FDAF`, samples.
    """
    if mode == "predict":
        return Predictor(taps, horizon, mu)
    return FDAF(taps, mu, block=fdaf_block) if algorithm == "fdaf" else NLMS(taps, mu)


def restore_filter(mode: Literal["cancel", "predict"], algorithm: Algorithm, state: bytes) -> AdaptiveFilter:
    """Return the filter whose `state()` was stored. Raises ValueError for damaged bytes."""
    if mode == "predict":
        return Predictor.from_state(state)
    return (FDAF if algorithm == "fdaf" else NLMS).from_state(state)
