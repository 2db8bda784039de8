"""The platform on one machine, and the `anc` command.

Importing this package limits numpy's linear algebra to one thread. The blocks, snapshots and files that the
platform works on are too small to gain from more, and the threads of a BLAS wait for each other by spinning:
beside other busy processes a live block then takes seconds instead of milliseconds. The platform gets its
parallelism from working on several blocks at a time.

A BLAS reads its variable once, when numpy is first imported, which is why the limit is set here: Python runs
this file before any module of the package. Child processes inherit it. A value that is set already is kept.
"""

import os

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")

for _name in BLAS_THREADS:
    os.environ.setdefault(_name, "1")
