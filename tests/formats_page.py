"""`python -m tests.formats_page > docs/formats.md`: what the decoder reads of a file of every kind.

The files are generated. The figures of the attacks are those of `docs/formats.json`, which
`python -m tests.attacks.sound_files --json docs/formats.json` writes.
"""

# ruff: noqa: E501
import json
from pathlib import Path

from anc.audio.reader import open_short
from anc.services.sound.preview import preview
from tests.sound_kinds import KINDS, Kind

FIGURES = Path(__file__).parents[1] / "docs" / "formats.json"
SECONDS = 0.6
HEADER = """# Sound files

Made by `python -m tests.formats_page > docs/formats.md` from files that the command generates: 0.6 s of noise of every kind. All entries
(`audio/process`, `audio/classify`, `audio/analyze`, `emergency/detect`, uploads, the console and the commands) use one decoder, shown here.
`tests/contract/test_sound_files.py` sends files to each of them and compares the answers. *cancel*, as a command and as a mode, needs two channels and refuse
formats that have one. "Automatic" is the processing that the preview announces and that is chosen without a mode. A file that breaks off is
read as far as possible, and every answer says so (`truncated`, `note`; see [the API](api.md#sounds)).

Limits: in a request 10 MB and 60 s; in an upload 12 GiB; commands 12 hours at 48 kHz.

| Format | File | Read | Channels | Automatic |
|---|---|---|---|---|
"""
ATTACKS = """
## Damaged files

{mutations:,} changed files of each format (bits, bytes, lengths, deletions, repetitions, splices; Ogg pages mostly with corrected checksums) were read in child
processes that may allocate 512 MB more than at their start. "In part" means that the answer names the missing part. A fault is an exception other
than a refusal, a crash, a file that takes 20 s of processor time, or an answer that breaks the promises of the reader. Seed {seed}; measured on a shared machine
with two x86_64 cores. The tests read 60 changed files
of each format. A format that is missing from the table was not attacked at this length.

    python -m tests.attacks.sound_files --mutations 100000 --seed {seed} --json docs/formats.json

| Format | Files | Read | In part | Refused | Faults | Longest (s of CPU) | Peak of the process (MB) |
|---|---|---|---|---|---|---|---|
"""


def row(kind: Kind) -> str:
    """Return the row of a kind of file."""
    data = kind.make(SECONDS)
    with open_short(data) as reader:
        found = reader.note or f"{reader.frames / reader.rate:.2f} s at {reader.rate:,} Hz"
        channels = reader.channels
    return f"| {kind.format} | {kind.name} | {found} | {channels} | {preview(data)['automatic']} |"


def page() -> str:
    """Return the page."""
    return HEADER + "\n".join(map(row, KINDS)) + "\n" + attacks() + "\n"


def attacks() -> str:
    """Return the section on damaged files."""
    figures = json.loads(FIGURES.read_text())
    rows = [
        f"| {name} | {found['mutations']:,} | {found['read']:,} | {found['read in part']:,} | {found['refused']:,} "
        f"| {len(found['faults'])} | {found['longest_s']:.3f} | {found['peak_mb']} |"
        for name, found in figures["formats"].items()
    ]
    return ATTACKS.format(**figures) + "\n".join(rows)


if __name__ == "__main__":
    print(page(), end="")
