"""Measurements of the platform against other ways to do the same, with the settings that its users get."""

import os

import local  # noqa: F401  one BLAS thread, as in the platform; numpy is imported after it

# Some machines name another processor to OpenBLAS than they have. Nothing else of the environment is changed.
for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_name, None)
