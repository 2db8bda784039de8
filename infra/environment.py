"""What differs between deployments: dev is thrown away, prod is kept."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import aws_cdk as cdk

from anc.settings import Settings

REGION = "eu-central-1"
LIVE_CONCURRENCY = 100  # blocks at a time: 2,000 frames a second at 50 ms each
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
    endpoint : {"none", "serverless", "instance"}
        On what a larger model for noise runs.
    log_level : str
        Of the functions, INFO or DEBUG; no level logs what people sent.
    mail : str
        Who is told by e-mail of alarms and of what it costs; "" for nobody.
    budget : int
        Dollars a month from which on the account is said to be expensive.
    warm : int
        Blocks of live streams at a time that meet a function which has started already; 0 for none.
    domain, certificate : str
        The console's own name, and the ARN of its certificate in us-east-1; "" for CloudFront's.
    limits : dict of str to str
        Quotas and budgets of one person that differ from their defaults, as variables of the functions.
    """

    name: str
    account: str
    region: str
    layer: str
    endpoint: str
    log_level: str
    mail: str
    budget: int
    session_cache: int
    domain: str
    certificate: str
    limits: Mapping[str, str]

    @classmethod
    def of(cls, app: cdk.App) -> Self:
        """Read the context (`-c env=prod`) and what the CDK CLI says of the account."""
        name = _choice(app, "env", ("dev", "prod"))
        domain, certificate = _given(app, "domain", ""), _given(app, "certificate", "")
        if bool(domain) != bool(certificate):
            raise ValueError(f"domain: {domain!r} with certificate {certificate!r}, name both or neither")
        return cls(
            name=name,
            account=os.environ.get("CDK_DEFAULT_ACCOUNT") or NO_ACCOUNT,
            region=_given(app, "region", REGION),  # a choice, not the shell's default
            layer=_choice(app, "layer", ("lambda", "host")),
            endpoint=_choice(app, "endpoint", ("none", "serverless", "instance")),
            log_level=_choice(app, "log_level", ("INFO", "DEBUG")),
            mail=_given(app, "mail", ""),
            budget=_whole(app, "budget", 1000 if name == "prod" else 50, least=1),
            session_cache=_whole(app, "warm", 2 if name == "prod" else 0, most=LIVE_CONCURRENCY),
            domain=domain,
            certificate=certificate,
            limits=_limits(app),
        )

    @property
    def target(self) -> cdk.Environment:
        """Where its stacks go."""
        return cdk.Environment(account=self.account, region=self.region)

    @property
    def kept(self) -> bool:
        """Whether what people entrusted to us outlives the stack."""
        return self.name == "prod"

    @property
    def guarded(self) -> bool:
        """Whether it pays for web ACLs, and reserves concurrency, which a new account has too little of."""
        return self.name == "prod"

    @property
    def metrics(self) -> str:
        """Where CloudWatch keeps what the functions count."""
        return f"ANC/{self.name}"

    @property
    def removal(self) -> cdk.RemovalPolicy:
        """What becomes of data when its stack is deleted."""
        return cdk.RemovalPolicy.RETAIN if self.kept else cdk.RemovalPolicy.DESTROY


def _given(app: cdk.App, what: str, default: str) -> str:
    return str(app.node.try_get_context(what) or default)


def _limits(app: cdk.App) -> dict[str, str]:
    """Return the settings of these kinds that were given, as in `-c quota_sessions=20`. Raises BadSetting."""
    names = [name for name in Settings.__struct_fields__ if name.startswith(("quota_", "sound_", "headset_"))]
    given = {name.upper(): text for name in names if (text := _given(app, name, ""))}
    Settings.from_env(given)
    return given


def _whole(app: cdk.App, what: str, default: int, least: int = 0, most: int = 1_000_000) -> int:
    """Return the number that was given."""
    given = _given(app, what, str(default))
    if not (given.isascii() and given.isdecimal()) or not least <= int(given) <= most:
        raise ValueError(f"{what}: {given}, a whole number from {least} to {most} is wanted")
    return int(given)


def _choice(app: cdk.App, what: str, known: Sequence[str]) -> str:
    """Return what was chosen; the first when nothing was."""
    chosen = _given(app, what, known[0])
    if chosen not in known:
        raise ValueError(f"{what}: {chosen}, known are {', '.join(known)}")
    return chosen
