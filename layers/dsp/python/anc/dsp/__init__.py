"""Adaptive filters, control-filter design and levels, in numpy alone.

Signals, here and everywhere: x reference microphone; d noise at the error microphone without control; s
secondary path from driver to error microphone, S its model; y = w * x controller output; e = d - s * y
residual. Impulse responses are stored tap 0 first: w[0] multiplies the newest sample.
"""

from anc.dsp.band_limit import BandLimit
from anc.dsp.design import (
    ControlFilter,
    design_control_filter,
    design_for_priors,
    design_from_statistics,
    peak_gain_db,
    recover_primary,
)
from anc.dsp.fdaf import FDAF
from anc.dsp.fxnlms import FxNLMS
from anc.dsp.identification import SecondaryPath, identify_secondary
from anc.dsp.levels import (
    a_weighted_attenuation_db,
    a_weighting_db,
    attenuation_db,
    level_dbfs,
    onset,
)
from anc.dsp.nlms import NLMS
from anc.dsp.predictor import Predictor
from anc.dsp.reference import fxnlms_reference, nlms_reference
from anc.dsp.statistics import Statistics

__all__ = [
    "FDAF",
    "NLMS",
    "BandLimit",
    "ControlFilter",
    "FxNLMS",
    "Predictor",
    "SecondaryPath",
    "Statistics",
    "a_weighted_attenuation_db",
    "a_weighting_db",
    "attenuation_db",
    "design_control_filter",
    "design_for_priors",
    "design_from_statistics",
    "fxnlms_reference",
    "identify_secondary",
    "level_dbfs",
    "nlms_reference",
    "onset",
    "peak_gain_db",
    "recover_primary",
]
