"""Programs that people run beside the platform."""

import local  # noqa: F401  limits the threads of BLAS before numpy is loaded
