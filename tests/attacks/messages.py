"""`python -m tests.attacks.messages`: a million changed and random inputs for every parser of messages.

A parser may accept an input or raise its documented refusal, within a second of processor time. Every fault
is printed with the input's number, which makes it again with the same seed. Sound files, which are slow to
decode, have a command of their own: `python -m tests.attacks.sound_files`. Exits with 1 after a fault.
"""

import argparse
import json
import logging
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.processes import environment, write_to_docs
from tests.attacks.message_parsers import MessageParser, message_parsers
from tests.attacks.mutations import mutated

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
INPUTS = 1_000_000
BLOCK = 1000  # inputs from one random generator
RANDOM_SHARE = 0.2  # of the inputs are random bytes; the others are changed samples
MOST_RANDOM = 300
MOST_CHANGES = 4
LIMIT_S = 1.0  # processor time for one input
MAX_FAULTS = 20
SHOWN = 64


def inputs(samples: Sequence[bytes], name: str, seed: int, block: int) -> list[bytes]:
    """Return the inputs of a block, which depend on the arguments alone."""
    chance = random.Random(f"{seed} {name} {block}")
    return [
        chance.randbytes(chance.randrange(MOST_RANDOM))
        if chance.random() < RANDOM_SHARE
        else mutated(samples, chance, MOST_CHANGES)
        for _ in range(BLOCK)
    ]


def attack(parser: MessageParser, seed: int, count: int, limit_s: float = LIMIT_S) -> dict[str, Any]:
    """Pass `count` inputs to a parser; return how many it accepted and refused, and its faults."""
    accepted = refused = number = 0
    longest_s, faults = 0.0, []
    while number < count and len(faults) < MAX_FAULTS:
        for data in inputs(parser.samples, parser.name, seed, number // BLOCK)[: count - number]:
            begun = time.thread_time()
            try:
                parser.parse(data)
                accepted += 1
            except parser.refusal:
                refused += 1
            except Exception as error:
                faults.append(_fault(number, f"{type(error).__name__}: {error}", data))
            taken = time.thread_time() - begun
            if taken > limit_s:
                faults.append(_fault(number, f"took {taken:.2f} s", data))
            longest_s = max(longest_s, taken)
            number += 1
    return {
        "inputs": number,
        "accepted": accepted,
        "refused": refused,
        "longest_ms": round(1e3 * longest_s, 1),
        "faults": faults,
    }


def _fault(number: int, error: str, data: bytes) -> dict[str, Any]:
    return {"number": number, "error": error[:200], "bytes": len(data), "start": repr(data[:SHOWN])}


def names() -> list[str]:
    """Return the names of all parsers."""
    with tempfile.TemporaryDirectory() as folder:
        return [parser.name for parser in message_parsers(Path(folder))]


def run(job: tuple[str, int, int]) -> tuple[str, dict[str, Any]]:
    """Attack the parser of a name, with a seed, so many times."""
    name, seed, count = job
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")  # of cryptography, about names in certificates
    with tempfile.TemporaryDirectory() as folder:
        (parser,) = (each for each in message_parsers(Path(folder)) if each.name == name)
        return name, attack(parser, seed, count)


def table(results: dict[str, dict[str, Any]], seed: int, earlier: Mapping[str, str]) -> str:
    """Return the figures as Markdown; parsers without results have their earlier rows."""
    known = dict(earlier)
    for name, each in results.items():
        counts = " | ".join(f"{each[count]:,}" for count in ("inputs", "accepted", "refused"))
        known[name] = f"| {name} | {counts} | {each['longest_ms']:.1f} | {len(each['faults']) or 'none'} |"
    total = sum(int(row.split(" | ")[1].replace(",", "")) for row in known.values())
    head = [
        f"{environment()}, seed {seed}: {total:,} inputs.",
        "",
        "| parser | inputs | accepted | refused | longest, ms of a core | faults |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *known.values()])


def rows_of(page: Path) -> dict[str, str]:
    """Return the rows of the table in the documentation, by parser."""
    written = page.read_text().partition("<!-- messages -->")[2].partition("<!-- end -->")[0]
    lines = [line for line in written.splitlines() if line.startswith("| ")]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines[1:]}


def main() -> int:
    """Run, print, and return the exit code."""
    options = argparse.ArgumentParser(prog="python -m tests.attacks.messages", description=__doc__)
    options.add_argument("--inputs", type=int, default=INPUTS, help="for each parser")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", nargs="+", help="names of parsers")
    options.add_argument("--workers", type=int, default=2, help="processes")
    options.add_argument(
        "--json", type=Path, default=Path("build/messages.json"), help="file for the figures"
    )
    options.add_argument("--docs", action="store_true", help="write the figures into docs/reliability.md")
    chosen = options.parse_args()
    known = names()
    if unknown := set(chosen.only or ()) - set(known):
        options.error(f"--only: unknown {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    jobs = [(name, chosen.seed, chosen.inputs) for name in chosen.only or known]
    results = json.loads(chosen.json.read_text()) if chosen.only and chosen.json.exists() else {}
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    with get_context("spawn").Pool(chosen.workers, maxtasksperchild=1) as pool:
        for name, result in pool.imap(run, jobs):
            print(f"{name:24} {json.dumps(result)}", flush=True)
            results[name] = result
            chosen.json.write_text(json.dumps(results, indent=1) + "\n")
    results = {name: results[name] for name in known if name in results}
    if chosen.docs:
        earlier = {name: row for name, row in rows_of(PAGE).items() if name in known} if chosen.only else {}
        write_to_docs("messages", table(results, chosen.seed, earlier), PAGE)
    return int(any(result["faults"] for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
