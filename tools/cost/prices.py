"""The price table of `anc cost`."""

import tomllib
from pathlib import Path

import msgspec

from anc.validation_messages import msgspec_sentence

PRICES = Path(__file__).with_name("prices.toml")
SERVICES = {
    "API Gateway": ("websocket_message", "websocket_minute"),
    "Lambda": ("lambda_request", "lambda_gb_s", "provisioned_gb_s"),
    "DynamoDB": ("dynamodb_write", "dynamodb_read", "dynamodb_gb", "dynamodb_backup_gb"),
    "SQS": ("sqs_request",),
    "IoT Core": ("iot_minute", "iot_message", "iot_rule", "iot_action", "shadow_operation", "index_update"),
    "SageMaker": ("endpoint_gb_s",),
    "KMS": ("kms_key", "kms_request"),
    "Secrets Manager": ("secret",),
    "CloudWatch": (
        "log_gb",
        "log_stored_gb",
        "alarm_metric",
        "composite_alarm",
        "custom_metric",
        "dashboard",
    ),
    "X-Ray": ("trace",),
    "WAF": ("web_acl", "web_acl_rule"),
    "Data transfer": ("transfer_gb",),
}


class Source(msgspec.Struct, frozen=True):
    """Where a price is from, when it was read, and whether it was read for this region."""

    text: str
    read: str
    verified: bool


class Price(msgspec.Struct, frozen=True):
    """The price of a unit: tiers of (upper limit in units per month, USD per unit)."""

    unit: str
    source: str
    tiers: list[tuple[float, float]]


class FunctionUsage(msgspec.Struct, frozen=True):
    """Memory in GB and duration in seconds of a Lambda call, and of the endpoint."""

    memory_gb: float
    block_s: float
    long_block_s: float
    snapshot_s: float
    report_s: float
    update_s: float
    endpoint_gb: float
    endpoint_s: float


class Prices(msgspec.Struct, frozen=True):
    """A price table."""

    region: str
    noted: str
    sources: dict[str, Source]
    prices: dict[str, Price]
    work: FunctionUsage

    def of(self, unit: str, amount: float) -> float:
        """Return the price in USD of an amount of a unit."""
        dollars, below = 0.0, 0.0
        for up_to, price in self.prices[unit].tiers:
            dollars += price * max(min(amount, up_to) - below, 0.0)
            below = up_to
        return dollars


def read_prices(path: Path = PRICES) -> Prices:
    """Read a price table from a TOML file.

    Raises
    ------
    ValueError
        The file is not a price table, or lacks a price or a source.
    OSError
    """
    try:
        document = tomllib.loads(path.read_text())
        prices = msgspec.convert(document, Prices)
    except tomllib.TOMLDecodeError as fault:
        raise ValueError(f"{path}: not a TOML document: {fault}") from fault
    except msgspec.ValidationError as fault:
        raise ValueError(f"{path}: {msgspec_sentence(str(fault), Prices, document)}") from fault
    units = {unit for each in SERVICES.values() for unit in each}
    if missing := sorted(units - prices.prices.keys()):
        raise ValueError(f"{path}: missing prices for {', '.join(missing)}")
    named = {price.source for price in prices.prices.values()}
    if missing := sorted(named - prices.sources.keys()):
        raise ValueError(f"{path}: missing sources {', '.join(missing)}")
    return prices
