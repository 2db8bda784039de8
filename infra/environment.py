"""What differs between deployments: dev is thrown away, prod is kept."""

import os
from typing import NamedTuple, Self

import aws_cdk as cdk

NO_ACCOUNT = "000000000000"  # synthesis needs no account; the CDK CLI names the real one


class Environment(NamedTuple):
    """A deployment.

    Attributes
    ----------
    name : {"dev", "prod"}
    account, region : str
        Where it goes. Named outright, since a table with a customer's key cannot be synthesized without.
    layer : {"lambda", "host"}
        What the functions' layer is built for: AWS, or this machine, whose Python an emulator runs them on.
    """

    name: str
    account: str
    region: str
    layer: str

    @classmethod
    def of(cls, app: cdk.App) -> Self:
        """Read the context (`-c env=prod`) and what the CDK CLI says of the account."""
        name = app.node.try_get_context("env") or "dev"
        layer = app.node.try_get_context("layer") or "lambda"
        if name not in ("dev", "prod"):
            raise ValueError(f"env: {name}, known are dev and prod")
        if layer not in ("lambda", "host"):
            raise ValueError(f"layer: {layer}, known are lambda and host")
        account = os.environ.get("CDK_DEFAULT_ACCOUNT") or NO_ACCOUNT
        region = app.node.try_get_context("region") or "eu-central-1"  # a choice, not the shell's default
        return cls(name, account, region, layer)

    @property
    def target(self) -> cdk.Environment:
        """Where its stacks go."""
        return cdk.Environment(account=self.account, region=self.region)

    @property
    def kept(self) -> bool:
        """Whether what people entrusted to us outlives the stack."""
        return self.name == "prod"

    @property
    def removal(self) -> cdk.RemovalPolicy:
        """What becomes of data when its stack is deleted."""
        return cdk.RemovalPolicy.RETAIN if self.kept else cdk.RemovalPolicy.DESTROY
