"""The differences between deployments: dev is disposable, prod is retained."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import aws_cdk as cdk

from anc.settings import Settings
from infra.concurrency import LIVE, MIN_OF_QUEUE, NEW_ACCOUNT, QUEUE, UNRESERVED, Concurrency

REGION = "eu-central-1"
MAX_QUEUE_CONCURRENCY = 1000  # of an event source
CONCURRENCY_OF_PROD = 1000  # default quota of an account that is not new
NO_ACCOUNT = "000000000000"  # for synthesis; the CDK CLI sets the real one


class Environment(NamedTuple):
    """A deployment.

    Attributes
    ----------
    name : {"dev", "prod"}
    account, region : str
        Target of the deployment. Explicit, because tables with a customer managed key require it.
    layer : {"lambda", "host"}
        Target of the functions' layer: AWS, or this machine's Python for an emulator.
    endpoint : {"serverless", "instance", "none"}
        SageMaker endpoint of a larger noise classifier. A serverless one costs nothing while it is idle.
    log_level : str
        Log level of the functions, INFO or DEBUG; no level logs user data.
    mail : str
        E-mail address for alarms and budget notifications, or "".
    budget : int
        Monthly budget of the account in USD.
    concurrency : Concurrency
        Concurrent executions of Lambda.
    requests_per_s, frames_per_s : int
        REST requests and WebSocket frames of all callers; bursts may be twice as many.
    session_cache : int
        Provisioned concurrency of live streams (context `warm`); 0 for none.
    domain, certificate : str
        Domain of the console, and the ARN of its certificate in us-east-1; "" for CloudFront's domain.
    canary : {"off", "on"}
        Whether new versions of the live and control functions get a tenth of the calls first.
    traces : {"off", "on"}
        Whether snapshots begin traces, of which Lambda samples one a second and 5 % of the rest.
    limits : dict of str to str
        Overridden quotas per user, as environment variables of the functions.
    """

    name: str
    account: str
    region: str
    layer: str
    endpoint: str
    log_level: str
    mail: str
    budget: int
    concurrency: Concurrency
    requests_per_s: int
    frames_per_s: int
    session_cache: int
    domain: str
    certificate: str
    canary: str
    traces: str
    limits: Mapping[str, str]

    @classmethod
    def of(cls, app: cdk.App) -> Self:
        """Return the environment from the CDK context (`-c env=prod`) and the account of the CDK CLI."""
        name = _choice(app, "env", ("dev", "prod"))
        quota = CONCURRENCY_OF_PROD if name == "prod" else NEW_ACCOUNT
        concurrency = Concurrency(
            _integer(app, "concurrency", quota, minimum=NEW_ACCOUNT),
            _integer(app, "queue_concurrency", QUEUE, MIN_OF_QUEUE, MAX_QUEUE_CONCURRENCY),
            _integer(app, "live_concurrency", LIVE, minimum=1),
        )
        warm = 1 if name == "prod" and concurrency.can_reserve else 0
        warm = _integer(app, "warm", warm, maximum=concurrency.live)
        if warm and concurrency.quota < warm + UNRESERVED:
            raise ValueError(
                f"warm={warm} needs a quota of {warm + UNRESERVED} concurrent executions "
                f"(got concurrency={concurrency.quota})"
            )
        domain, certificate = _context(app, "domain", ""), _context(app, "certificate", "")
        if bool(domain) != bool(certificate):
            raise ValueError(f"set both domain and certificate (got {domain!r}, {certificate!r})")
        return cls(
            name=name,
            account=os.environ.get("CDK_DEFAULT_ACCOUNT") or NO_ACCOUNT,
            region=_context(app, "region", REGION),  # not the default region of the shell
            layer=_choice(app, "layer", ("lambda", "host")),
            endpoint=_choice(app, "endpoint", ("serverless", "instance", "none")),
            log_level=_choice(app, "log_level", ("INFO", "DEBUG")),
            mail=_context(app, "mail", ""),
            budget=_integer(app, "budget", 1000 if name == "prod" else 50, minimum=1),
            concurrency=concurrency,
            requests_per_s=_integer(app, "requests_per_s", 500, minimum=1),
            frames_per_s=_integer(app, "frames_per_s", 2000, minimum=1),
            session_cache=warm,
            domain=domain,
            certificate=certificate,
            canary=_choice(app, "canary", ("on", "off") if name == "prod" else ("off", "on")),
            traces=_choice(app, "traces", ("off", "on")),
            limits=_limits(app),
        )

    @property
    def target(self) -> cdk.Environment:
        """The AWS account and region of the stacks."""
        return cdk.Environment(account=self.account, region=self.region)

    @property
    def kept(self) -> bool:
        """Whether user data is retained when the stack is deleted."""
        return self.name == "prod"

    @property
    def guarded(self) -> bool:
        """Whether to use web ACLs."""
        return self.name == "prod"

    @property
    def metrics(self) -> str:
        """The CloudWatch namespace of the functions' metrics."""
        return f"ANC/{self.name}"

    @property
    def removal(self) -> cdk.RemovalPolicy:
        """The removal policy of data."""
        return cdk.RemovalPolicy.RETAIN if self.kept else cdk.RemovalPolicy.DESTROY


def _context(app: cdk.App, name: str, default: str) -> str:
    return str(app.node.try_get_context(name) or default)


def _limits(app: cdk.App) -> dict[str, str]:
    """Return the quotas that the context overrides, as in `-c quota_sessions=20`. Raises BadSetting."""
    names = [name for name in Settings.__struct_fields__ if name.startswith(("quota_", "sound_", "headset_"))]
    given = {name.upper(): text for name in names if (text := _context(app, name, ""))}
    Settings.from_env(given)
    return given


def _integer(app: cdk.App, name: str, default: int, minimum: int = 0, maximum: int = 1_000_000) -> int:
    """Return a number from the context."""
    text = _context(app, name, str(default))
    if not (text.isascii() and text.isdecimal()) or not minimum <= int(text) <= maximum:
        raise ValueError(f"{name} must be an integer between {minimum} and {maximum} (got {text})")
    return int(text)


def _choice(app: cdk.App, name: str, options: Sequence[str]) -> str:
    """Return an option from the context; the first one by default."""
    value = _context(app, name, options[0])
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)} (got {value})")
    return value
