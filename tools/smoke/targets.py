"""Where a platform is, and what whoever runs it can do behind its back."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import boto3

from anc.ports import Credentials
from anc.settings import Settings
from anc_client import Client
from local.auth.issuer import Issuer
from local.storage.database import Database
from local.storage.queues import SqliteQueue
from tools.smoke.headset import Headset, OverHttps, OverMqtt

WITH_OUTPUTS = ("data", "identity", "api")  # the stacks that say where everything is
POISONED = "updates"  # the queue that gets a message which nobody can handle


class Target(Protocol):
    """A platform that runs."""

    rest: str
    sockets: str
    operated: bool
    """Whether the test may look into its queues."""

    def admin(self) -> Any:
        """Return a context that gives an admin's token, who is gone afterwards."""

    def headset(self, thing: str, credentials: Credentials) -> Headset:
        """Return a headset's line to it."""

    def poison(self, message: dict[str, str]) -> None:
        """Put a message that nobody can handle into a queue."""

    def died(self, message: dict[str, str]) -> bool:
        """Tell whether it lies among the dead letters; then take it away."""


class RemoteTarget:
    """A platform of which no more is known than its address and an admin's token."""

    operated = False

    def __init__(self, rest: str, sockets: str, token: str) -> None:
        self.rest, self.sockets = rest, sockets
        self._token = token

    @contextmanager
    def admin(self) -> Iterator[str]:
        """See `Place.admin`."""
        yield self._token

    def headset(self, thing: str, credentials: Credentials) -> Headset:
        """See `Place.headset`."""
        return OverMqtt(thing, credentials)

    def poison(self, message: dict[str, str]) -> None:
        """See `Place.poison`."""
        raise NotImplementedError

    def died(self, message: dict[str, str]) -> bool:
        """See `Place.died`."""
        raise NotImplementedError


class LocalTarget(RemoteTarget):
    """The platform that runs on this machine and keeps everything in `data`."""

    operated = True

    def __init__(self, rest: str, sockets: str, data: Path, settings: Settings) -> None:
        super().__init__(rest, sockets, Issuer(data, settings).issue("smoke-admin", "admin"))
        self._database = Database(data / "anc.db")
        self._queue = SqliteQueue(self._database, POISONED)

    def poison(self, message: dict[str, str]) -> None:
        """See `Place.poison`."""
        self._queue.put(message)

    def died(self, message: dict[str, str]) -> bool:
        """See `Place.died`."""
        sql = "DELETE FROM dead_letters WHERE queue = ? AND body = ?"
        return self._database.connection.execute(sql, (POISONED, json.dumps(message))).rowcount > 0


class AwsTarget:
    """A deployment on AWS, found by its stacks with the credentials of this shell.

    Parameters
    ----------
    stacks : str
        What their names begin with: `anc-dev`.
    rest, sockets : str
        Addresses, where they are others than the stacks say.
    https : bool
        Publish over HTTPS with the shell's credentials, not over MQTT with the headset's certificate.
    """

    operated = True

    def __init__(self, stacks: str, rest: str = "", sockets: str = "", https: bool = False) -> None:
        self._stacks = stacks
        self._https = https
        self.rest = rest or self._outputs["RestUrl"].rstrip("/")
        self.sockets = sockets or self._outputs["SocketUrl"]

    @contextmanager
    def admin(self) -> Iterator[str]:
        """See `Place.admin`."""
        cognito, pool = boto3.client("cognito-idp"), self._outputs["UserPool"]
        name, password = f"smoke-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe() + "aA1!"
        who = {"UserPoolId": pool, "Username": name}
        cognito.admin_create_user(**who, MessageAction="SUPPRESS")
        try:
            cognito.admin_set_user_password(**who, Password=password, Permanent=True)
            cognito.admin_add_user_to_group(**who, GroupName="admin")
            with Client(self.rest) as client:
                yield client.sign_in(name, password).token
        finally:
            cognito.admin_delete_user(**who)

    def headset(self, thing: str, credentials: Credentials) -> Headset:
        """See `Place.headset`."""
        return OverHttps(thing) if self._https else OverMqtt(thing, credentials)

    def poison(self, message: dict[str, str]) -> None:
        """See `Place.poison`."""
        url = self._outputs[f"{POISONED}Queue"]
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(message))

    def died(self, message: dict[str, str]) -> bool:
        """See `Place.died`."""
        sqs, url = boto3.client("sqs"), self._outputs[f"{POISONED}DeadLetters"]
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=1)
        for dead in found.get("Messages", []):
            if dead["Body"] == json.dumps(message):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=dead["ReceiptHandle"])
                return True
        time.sleep(1)  # SQS is asked, it does not tell
        return False

    @cached_property
    def _outputs(self) -> dict[str, str]:
        stacks = boto3.client("cloudformation")
        described = [stacks.describe_stacks(StackName=f"{self._stacks}-{name}") for name in WITH_OUTPUTS]
        return {
            output["OutputKey"]: output["OutputValue"]
            for answer in described
            for output in answer["Stacks"][0]["Outputs"]
        }
