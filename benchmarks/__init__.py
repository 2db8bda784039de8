"""Benchmarks of the platform with its default settings, and comparisons with other implementations."""

import os

import local  # noqa: F401  one BLAS thread, as in the platform; numpy is imported after it

# On some machines these variables name the wrong CPU to OpenBLAS.
for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_name, None)
