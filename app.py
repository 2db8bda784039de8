"""The platform on AWS: `cdk synth`, `cdk deploy`. Context: `-c env=dev|prod`, `-c region=...`."""

# ruff: noqa: I001  # infra tells CDK where Node is, before CDK is imported
import infra  # noqa: F401
import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.stacks import FLAGS, provision

app = cdk.App(context=FLAGS)
cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
provision(app)
app.synth()
