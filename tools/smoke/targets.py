"""Platforms that the smoke test can run against: local, remote, or on AWS."""

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
from tools.smoke.headset import Headset, HttpsHeadset, MqttHeadset

OUTPUT_STACKS = ("data", "identity", "api")
POISONED_QUEUE = "updates"  # receives an invalid message, to test its dead-letter queue


class Target(Protocol):
    """A running platform."""

    rest: str
    sockets: str
    queues_accessible: bool
    """Whether the test has access to the queues."""

    def admin(self) -> Any:
        """Return a context manager that provides an admin's token; a temporary admin is deleted on exit."""

    def headset(self, thing: str, credentials: Credentials) -> Headset:
        """Return a headset's connection to the platform."""

    def poison(self, message: dict[str, str]) -> None:
        """Send an invalid message to a queue."""

    def take_dead_letter(self, message: dict[str, str]) -> bool:
        """Return whether the message is in the dead-letter queue, and delete it there."""


class RemoteTarget:
    """A platform known only by its address and an admin's token."""

    queues_accessible = False

    def __init__(self, rest: str, sockets: str, token: str) -> None:
        self.rest, self.sockets = rest, sockets
        self._token = token

    @contextmanager
    def admin(self) -> Iterator[str]:
        """See `Target.admin`."""
        yield self._token

    def headset(self, thing: str, credentials: Credentials) -> Headset:
        """See `Target.headset`."""
        return MqttHeadset(thing, credentials)

    def poison(self, message: dict[str, str]) -> None:
        """See `Target.poison`."""
        raise NotImplementedError

    def take_dead_letter(self, message: dict[str, str]) -> bool:
        """See `Target.take_dead_letter`."""
        raise NotImplementedError


class LocalTarget(RemoteTarget):
    """The platform on this machine with the data folder `data`."""

    queues_accessible = True

    def __init__(self, rest: str, sockets: str, data: Path, settings: Settings) -> None:
        super().__init__(rest, sockets, Issuer(data, settings).issue("smoke-admin", "admin"))
        self._database = Database(data / "anc.db")
        self._queue = SqliteQueue(self._database, POISONED_QUEUE)

    def poison(self, message: dict[str, str]) -> None:
        """See `Target.poison`."""
        self._queue.put(message)

    def take_dead_letter(self, message: dict[str, str]) -> bool:
        """See `Target.take_dead_letter`."""
        sql = "DELETE FROM dead_letters WHERE queue = ? AND body = ?"
        return self._database.connection.execute(sql, (POISONED_QUEUE, json.dumps(message))).rowcount > 0


class AwsTarget:
    """A deployment on AWS, located by its CloudFormation stacks with the current AWS credentials.

    Parameters
    ----------
    stacks : str
        Name prefix of the stacks, such as `anc-dev`.
    rest, sockets : str
        URLs that override the outputs of the stacks.
    https : bool
        Publish over HTTPS with the AWS credentials instead of MQTT with the headset's certificate.
    """

    queues_accessible = True

    def __init__(self, stacks: str, rest: str = "", sockets: str = "", https: bool = False) -> None:
        self._stacks = stacks
        self._https = https
        self.rest = rest or self._outputs["RestUrl"].rstrip("/")
        self.sockets = sockets or self._outputs["SocketUrl"]

    @contextmanager
    def admin(self) -> Iterator[str]:
        """See `Target.admin`."""
        cognito, pool = boto3.client("cognito-idp"), self._outputs["UserPool"]
        name, password = f"smoke-{secrets.token_hex(4)}@example.com", secrets.token_urlsafe() + "aA1!"
        user = {"UserPoolId": pool, "Username": name}
        cognito.admin_create_user(**user, MessageAction="SUPPRESS")
        try:
            cognito.admin_set_user_password(**user, Password=password, Permanent=True)
            cognito.admin_add_user_to_group(**user, GroupName="admin")
            with Client(self.rest) as client:
                yield client.sign_in(name, password).token
        finally:
            cognito.admin_delete_user(**user)

    def headset(self, thing: str, credentials: Credentials) -> Headset:
        """See `Target.headset`."""
        return HttpsHeadset(thing) if self._https else MqttHeadset(thing, credentials)

    def poison(self, message: dict[str, str]) -> None:
        """See `Target.poison`."""
        url = self._outputs[f"{POISONED_QUEUE}Queue"]
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(message))

    def take_dead_letter(self, message: dict[str, str]) -> bool:
        """See `Target.take_dead_letter`."""
        sqs, url = boto3.client("sqs"), self._outputs[f"{POISONED_QUEUE}DeadLetters"]
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=1)
        for dead in found.get("Messages", []):
            if dead["Body"] == json.dumps(message):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=dead["ReceiptHandle"])
                return True
        time.sleep(1)  # before the caller polls again
        return False

    @cached_property
    def _outputs(self) -> dict[str, str]:
        stacks = boto3.client("cloudformation")
        described = [stacks.describe_stacks(StackName=f"{self._stacks}-{name}") for name in OUTPUT_STACKS]
        return {
            output["OutputKey"]: output["OutputValue"]
            for answer in described
            for output in answer["Stacks"][0]["Outputs"]
        }
