"""Create and restore the adaptive filters of live sessions and recordings."""

from typing import Literal, TypeAlias

from anc.dsp import FDAF, NLMS, Predictor
from anc.dsp.guarded import KIND as GUARDED
from anc.dsp.guarded import GuardedFilter
from anc.dsp.state import kind_of

AdaptiveFilter: TypeAlias = GuardedFilter
Algorithm = Literal["nlms", "fdaf"]


def new_filter(
    mode: Literal["cancel", "predict"],
    algorithm: Algorithm,
    taps: int,
    mu: float,
    *,
    rate: int,
    horizon: int,
    fdaf_block: int,
) -> AdaptiveFilter:
    """Return a new guarded filter for a mode: `Predictor` for `predict`, else the named algorithm.

    Parameters
    ----------
    rate : int
        Hz.
    horizon : int
        Samples ahead, for `predict`.
    fdaf_block : int
        Block length of `FDAF`, samples.
    """
    bare: NLMS | FDAF | Predictor
    if mode == "predict":
        bare = Predictor(taps, horizon, mu)
    else:
        bare = FDAF(taps, mu, block=fdaf_block) if algorithm == "fdaf" else NLMS(taps, mu)
    return GuardedFilter(bare, rate)


def restore_filter(
    mode: Literal["cancel", "predict"], algorithm: Algorithm, state: bytes, *, rate: int
) -> AdaptiveFilter:
    """Return the filter whose `state()` was stored. Raises ValueError for damaged bytes.

    The state of a bare filter, as earlier versions stored it, gets a guard.
    """
    bare: type[NLMS | FDAF | Predictor] = FDAF if algorithm == "fdaf" else NLMS
    if mode == "predict":
        bare = Predictor
    if kind_of(state) == GUARDED:
        return GuardedFilter.from_state(bare, state)
    return GuardedFilter(bare.from_state(state), rate)
