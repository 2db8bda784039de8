"""The platform on one machine.

Importing this package limits numpy's linear algebra to one thread. Blocks, snapshots and files are too small
to benefit from more, and BLAS threads wait for each other by spinning: beside other busy processes a live
block then takes seconds instead of milliseconds. The platform processes several blocks in parallel instead.


A BLAS reads its variable once, when numpy is first imported, so the limit is set here: Python runs this file
before any module of the package. Child processes inherit it. An existing value is not changed.
"""

import os

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")

for _name in BLAS_THREADS:
    os.environ.setdefault(_name, "1")
