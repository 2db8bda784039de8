"""The dependencies of a Lambda function.

A platform on one machine passes its own to the same handlers, and so does not import boto3, which takes long.
"""

import os
from functools import cache

from anc.ports import Dependencies

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:  # during the initialization, not in the first request
    import anc.aws.adapters  # noqa: F401


@cache
def aws_dependencies() -> Dependencies:
    """Return the adapters of this Lambda function, built once; see `anc.aws.adapters.from_environment`.

    Raises
    ------
    BadSetting
        If a setting has an invalid value.
    """
    from anc.aws import adapters  # noqa: PLC0415  slow

    return adapters.from_environment()
