"""The `anc` command: demos, measurements, reports, cost estimates and checks of a deployment."""

import local  # noqa: F401  limits the threads of BLAS before numpy is loaded
