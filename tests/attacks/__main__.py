"""`python -m tests.attacks`: fuzz all parsers of untrusted input for some minutes.

Prints the seed, what each parser accepted and refused, and each fault with the start of its input. Exits with
1 when there was a fault.
"""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.attacks.fuzz import fuzz
from tests.attacks.parsers import parsers
from tests.attacks.quiet import quiet_decoders

SHOWN = 64  # bytes of an input


def main() -> int:
    """Run, print, and return the exit code."""
    options = argparse.ArgumentParser(prog="python -m tests.attacks", description=__doc__)
    options.add_argument("--minutes", type=float, default=1.0, help="longest run")
    options.add_argument("--rounds", type=int, default=1_000_000, help="most inputs of each parser")
    options.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="random by default")
    options.add_argument("--only", help="name of one parser")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wanted = [each for each in parsers(Path(folder)) if chosen.only in (None, each.name)]
        if not wanted:
            options.error(f"--only {chosen.only}: no parser has this name")
        print(f"seed {chosen.seed}", flush=True)
        with quiet_decoders():
            outcome = fuzz(wanted, chosen.seed, chosen.rounds, time.monotonic() + 60 * chosen.minutes)
    for parser in wanted:
        accepted, refused = outcome.accepted[parser.name], outcome.refused[parser.name]
        print(f"{parser.name:16} {accepted:9,} accepted {refused:9,} refused")
    for fault in outcome.faults:
        print(f"FAULT {fault.parser}, round {fault.number}: {fault.error}")
        print(f"      {len(fault.data):,} bytes: {fault.data[:SHOWN]!r}")
    total = outcome.accepted.total() + outcome.refused.total() + len(outcome.faults)
    print(f"{total:,} inputs, {len(outcome.faults)} faults")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
