"""`anc redrive`: list, show and redrive dead letters."""

from collections.abc import Sequence
from datetime import UTC, datetime
from json import dumps
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.routes import QUEUES
from tools.cli.terminal import console, stop, table
from tools.redrive.letters import DeadLetter, described, redriven
from tools.redrive.stores import AwsDeadLetters, DeadLetters, LocalDeadLetters

NAMES = tuple(route.name for route in QUEUES)


def open_store(data: Path, stacks: str | None) -> DeadLetters:
    """Return the dead letters of a deployment, or of the platform in a data folder."""
    if not stacks:
        return LocalDeadLetters(data)
    import boto3  # noqa: PLC0415  slow

    try:
        return AwsDeadLetters(stacks, boto3.client("sqs"), boto3.client("cloudformation"))
    except (BotoCoreError, ClientError, KeyError, ValueError) as fault:
        stop(f"--stacks {stacks}: {fault}")


def redrive(
    store: DeadLetters, queue: str | None, show: str | None, send: list[str], everything: bool, json: bool
) -> None:
    """Do what the options say, and print it."""
    if queue is None:
        _print_numbers({name: store.number(name) for name in NAMES}, json)
        return
    if queue not in NAMES:
        stop(f"QUEUE: must be one of {', '.join(NAMES)} (got {queue})")
    letters = store.letters(queue)
    sent: list[str] = []
    try:
        if show:
            _print_letter(_chosen(letters, show), json)
        elif send or everything:
            chosen = letters if everything else [_chosen(letters, id) for id in send]
            _send(store, queue, chosen, sent, json)
        else:
            _print_letters(letters, json)
    finally:
        store.close(queue, [letter for letter in letters if letter.id not in sent])


def _send(store: DeadLetters, queue: str, chosen: Sequence[DeadLetter], sent: list[str], json: bool) -> None:
    kept = {}
    for letter in chosen:
        try:
            store.send(queue, letter, redriven(letter))
        except ValueError as fault:
            kept[letter.id] = str(fault)
        else:
            sent.append(letter.id)
    if json:
        print(dumps({"sent": sent, "kept": kept}))
        return
    console.print(f"Sent {len(sent)} to the queue {queue}.")
    for id, reason in kept.items():
        console.print(f"Kept {id}: {reason}", markup=False)


def _chosen(letters: Sequence[DeadLetter], id: str) -> DeadLetter:
    return next((letter for letter in letters if letter.id == id), None) or stop(
        f"ID: must be a dead letter of this queue (got {id}); list them without options"
    )


def _print_numbers(numbers: dict[str, int], json: bool) -> None:
    if json:
        print(dumps(numbers))
        return
    rows = table("queue", "dead letters", numbers=True)
    for name, number in numbers.items():
        rows.add_row(name, str(number))
    console.print(rows)


def _print_letters(letters: Sequence[DeadLetter], json: bool) -> None:
    if json:
        print(dumps([_summary(letter) for letter in letters]))
        return
    rows = table("id", "time", "content")
    for letter in letters:
        content = "  ".join(f"{name}: {value}" for name, value in described(letter).items())
        rows.add_row(letter.id, _time(letter), content)
    console.print(rows if letters else "No dead letters.")


def _print_letter(letter: DeadLetter, json: bool) -> None:
    if json:
        print(dumps(_summary(letter)))
        return
    rows = table("field", "value")
    for name, value in {"id": letter.id, "time": _time(letter), **described(letter)}.items():
        rows.add_row(name, str(value))
    console.print(rows)


def _summary(letter: DeadLetter) -> dict[str, Any]:
    return {"id": letter.id, "at": letter.at, **described(letter)}


def _time(letter: DeadLetter) -> str:
    return datetime.fromtimestamp(letter.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
