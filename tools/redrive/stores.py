"""The dead letters of one machine and of a deployment on AWS."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from functions.routes import QUEUES
from local.data_folder import require_platform
from local.storage.database import Database
from local.storage.queues import SqliteQueue
from tools.redrive.letters import DeadLetter

HIDDEN_S = 60  # how long a listing hides dead letters on AWS from another one, if it does not end
BATCH = 10  # messages per call, a limit of SQS
MAX_LETTERS = 1000  # of one listing


class DeadLetters(Protocol):
    """The dead letters of all queues."""

    def number(self, queue: str) -> int:
        """Return how many dead letters a queue has, on AWS approximately."""

    def letters(self, queue: str) -> Sequence[DeadLetter]:
        """Return the dead letters of a queue, the oldest first, up to `MAX_LETTERS`."""

    def send(self, queue: str, letter: DeadLetter, body: str) -> None:
        """Send a body to the queue, then delete the dead letter. After an interruption both may exist."""

    def close(self, queue: str, letters: Sequence[DeadLetter]) -> None:
        """Make the letters of a listing that were not sent visible to other listings."""


class LocalDeadLetters:
    """The dead letters in a data folder, whose platform may run."""

    def __init__(self, data: Path) -> None:
        require_platform(data)
        database = Database(data / "anc.db")
        self._queues = {route.name: SqliteQueue(database, route.name) for route in QUEUES}

    def number(self, queue: str) -> int:
        """See `DeadLetters.number`."""
        return len(self._queues[queue].dead())

    def letters(self, queue: str) -> Sequence[DeadLetter]:
        """See `DeadLetters.letters`."""
        found = self._queues[queue].dead_letters(MAX_LETTERS)
        return [DeadLetter(str(id), body, died, str(id)) for id, body, died in found]

    def send(self, queue: str, letter: DeadLetter, body: str) -> None:
        """See `DeadLetters.send`."""
        self._queues[queue].redrive(int(letter.handle), json.loads(body))

    def close(self, queue: str, letters: Sequence[DeadLetter]) -> None:
        """See `DeadLetters.close`. Nothing is hidden on one machine."""


class AwsDeadLetters:
    """The dead-letter queues of a deployment, with the AWS credentials of the shell.

    Parameters
    ----------
    stacks : str
        Prefix of the stacks, such as `anc-dev`.
    sqs, cloudformation : clients of boto3
    """

    def __init__(self, stacks: str, sqs: Any, cloudformation: Any) -> None:
        self._sqs = sqs
        (described,) = cloudformation.describe_stacks(StackName=f"{stacks}-data")["Stacks"]
        self._urls = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}

    def number(self, queue: str) -> int:
        """See `DeadLetters.number`."""
        name = "ApproximateNumberOfMessages"
        answer = self._sqs.get_queue_attributes(QueueUrl=self._dead(queue), AttributeNames=[name])
        return int(answer["Attributes"][name])

    def letters(self, queue: str) -> Sequence[DeadLetter]:
        """See `DeadLetters.letters`."""
        return sorted(self._received(queue), key=lambda letter: letter.at)

    def send(self, queue: str, letter: DeadLetter, body: str) -> None:
        """See `DeadLetters.send`."""
        self._sqs.send_message(QueueUrl=self._urls[f"{queue}Queue"], MessageBody=body)
        self._sqs.delete_message(QueueUrl=self._dead(queue), ReceiptHandle=letter.handle)

    def close(self, queue: str, letters: Sequence[DeadLetter]) -> None:
        """See `DeadLetters.close`."""
        for at in range(0, len(letters), BATCH):
            entries = [
                {"Id": str(i), "ReceiptHandle": letter.handle, "VisibilityTimeout": 0}
                for i, letter in enumerate(letters[at : at + BATCH])
            ]
            self._sqs.change_message_visibility_batch(QueueUrl=self._dead(queue), Entries=entries)

    def _received(self, queue: str) -> Iterator[DeadLetter]:
        seen: set[str] = set()
        while len(seen) < MAX_LETTERS:
            answer = self._sqs.receive_message(
                QueueUrl=self._dead(queue),
                MaxNumberOfMessages=BATCH,
                VisibilityTimeout=HIDDEN_S,
                WaitTimeSeconds=1,  # without waiting, SQS asks only some of its servers
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            new = [found for found in answer.get("Messages", []) if found["MessageId"] not in seen]
            if not new:
                return
            for found in new:
                seen.add(found["MessageId"])
                sent = int(found["Attributes"]["SentTimestamp"]) / 1000
                yield DeadLetter(found["MessageId"], found["Body"], sent, found["ReceiptHandle"])

    def _dead(self, queue: str) -> str:
        return self._urls[f"{queue}DeadLetters"]
