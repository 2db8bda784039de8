"""CDK app of the platform, for `cdk synth` and `cdk deploy`. Context: `-c env=dev|prod -c region=...`."""

# ruff: noqa: I001  # infra sets the path of Node.js before CDK is imported
import infra  # noqa: F401
import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.stacks import FLAGS, provision

app = cdk.App(context=FLAGS)
cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
provision(app)
app.synth()
