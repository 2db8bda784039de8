"""`python -m tests.formats_page > docs/formats.md`: what happens to a file of every kind in every entry.

The files are generated and sent through every entry. The figures of the attacks are those of
`docs/formats.json`, which `python -m tests.attacks.sound_files --json docs/formats.json` writes.
"""

# ruff: noqa: E501
import contextlib
import json
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from anc.audio.formats import FORMATS
from anc.audio.reader import open_short
from anc.schemas.refusal import Refused
from anc.services.sound.preview import preview
from tests.fakes import Clock, FakePlatform, make_dependencies
from tests.sound_entries import DAMAGED, DESCRIBED, PREVIEW, Answer
from tests.sound_kinds import KINDS, Kind

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
FIGURES = PAGE.with_suffix(".json")
SECONDS = 1.2
# Beside the first kind of each format, those whose header has no length or whose end is structured differently.
OTHERS = (
    "`data` of size 0, after a crash",
    "unknown length, from a pipe",
    "two chained Opus streams",
    "variable bit rate, no header",
    "fragmented, as Safari records",
    "live, as Chrome records",
    "size -1, from a stream",
)
CUT = 0.6  # of the bytes of a file
ENTRY_KINDS = tuple(
    kind
    for number, kind in enumerate(KINDS)
    if kind.name in OTHERS or kind.format not in {each.format for each in KINDS[:number]}
)
REFUSALS = {  # what the letters in the table stand for; another refusal is an error
    "A": "`cancel` needs 2 channels, reference and primary (got 1)",
    "B": "the index of the MP4 file (moov) is missing, since recording or transfer was interrupted; record or send it again",
    "C": "breaks off before any sound that can be decoded; record or send it again",
}
LETTERS = {words: letter for letter, words in REFUSALS.items()}
HEADER = """# Sound files

Made by `python -m tests.formats_page > docs/formats.md` from files that the command generates, {seconds} s of noise of every kind, and sends through every entry.
`tests/contract/test_formats_page.py` does the same and compares.

Limits: in a request 10 MB and 60 s; in an upload 12 GiB; commands 12 hours at 48 kHz. All endpoints take the same formats, which `GET /api/audio/formats` lists:

| Format | Names end in | Media types |
|---|---|---|
{formats}

## What is read

Every kind of file, and its first 60 %, as an interrupted recording or transfer leaves it. "Automatic" is the processing that the preview announces and that is chosen without a mode: `cancel` takes the first channel as the reference, `classify` removes
nothing. Codecs add up to 0.1 s at the ends. Speex is a file of 1 s.

| Format | File | Read | Of the first 60 % | Channels | Automatic |
|---|---|---|---|---|---|
{read}

A file that is read without a note although its end is missing is one whose header has no length: nothing in it shows that it once was longer. Letters
are refusals, explained below.

## Formats by entry

All entries open files with `anc.audio.reader`; no other module of the platform reads sound files, which `tests/contract/test_formats_page.py` checks. The table has one kind of
file of each format, and those whose end is recognised in another way.

| Column | Entry | Where |
|---|---|---|
| process, classify, analyze, detect | `POST /api/audio/process`, `/api/audio/classify`, `/api/audio/analyze`, `/api/emergency/detect` | request |
| preview | `POST /api/audio/preview`, which the console calls before an upload | request |
| upload | a recording that is uploaded, by the console (files, dropped files, microphone), the client or the API, and its job | report, list of recordings |
| anc classify, anc cancel | the commands | stderr, and the results with `--json` and `--csv` |
| demo | `anc demo --noise FILE` and `anc headset --noise FILE` | stderr |
| train | `anc train` and the evaluations | stderr |

Each cell has two results: of the whole file, and of its first 60 %, as an interrupted recording or transfer leaves it.

- **read**: all of it; the length is what was decoded.
- **in part**: as far as it goes, and the answer says so: "{damaged}... could be decoded. Send or save it again." (`truncated`, `note`). "Where" above says where it is said.
- **shown**: the preview reads the beginning only, and describes it; damage is reported by the job.
- A letter is a refusal, with these words:
{refusals}

| Format | File | {columns} |
|---|---|{dashes}|
{entries}

The live page of the console plays a file that the browser decodes itself; it accepts what the browser can play, and shows an error for other files.
"""
ATTACKS = """
## Damaged files

Up to {mutations:,} changed files of each format (bits, bytes, lengths, deletions, repetitions, splices; Ogg pages mostly with corrected checksums) were read in child
processes that may allocate 512 MB more than at their start. "In part" means that the answer names the missing part. A fault is an exception other
than a refusal, a crash, a file that takes 20 s of processor time, or an answer that breaks the promises of the reader. Seed {seed}; measured on a shared machine
with two x86_64 cores. The tests read 60 changed files of each format.

    python -m tests.attacks.sound_files --mutations 100000 --seed {seed} --json docs/formats.json

`--only amr` attacks one format, and updates its figures only. `make attacks FORMAT=amr` attacks it without writing figures. A format with fewer files was stopped early.
AMR was read by the present reader, at 3 ms of CPU a file; the others were read before the reader changed what it says of the lengths of broken files.
The present one also read 3,000 files of each format with seed 24, and 7,000 of AMR with seed 23, without a fault.

| Format | Files | Read | In part | Refused | Faults | Longest (s of CPU) | Peak of the process (MB) |
|---|---|---|---|---|---|---|---|
"""
COLUMNS = {
    name: re.sub(r"POST (audio|emergency)/|anc (?=demo|train)| --noise", "", name) for name in DESCRIBED
}


def read_row(kind: Kind) -> str:
    """Return the row on the contents of a kind of file."""
    data = kind.make(SECONDS)
    with open_short(data) as reader:
        found = f"{reader.frames / reader.rate:.2f} s at {reader.rate:,} Hz"
        channels = reader.channels
    automatic = preview(data)["automatic"]
    return f"| {kind.format} | {kind.name} | {found} | {cut_result(data)} | {channels} | {automatic} |"


def cut_result(data: bytes) -> str:
    """Return how much of a cut file is read, or the letter of the refusal."""
    try:
        with open_short(cut(data)) as reader:
            seconds = f"{reader.frames / reader.rate:.2f} s"
            return f"{seconds}, in part" if reader.note else seconds
    except Refused as refusal:
        return LETTERS[refusal.message.removeprefix("file: ")]


def cut(data: bytes) -> bytes:
    """Return the beginning of a file."""
    return data[: int(CUT * len(data))]


def entry_row(kind: Kind, folder: Path) -> str:
    """Send a file, whole and cut, through every entry; return the row with what happens."""
    data, given = kind.make(SECONDS), folder / "given.sound"
    platform = make_dependencies(folder, Clock(), rate_limit_scale=1e3)
    found = []
    with contextlib.chdir(folder):  # where there is no `.env`
        for part in (data, cut(data)):
            given.write_bytes(part)
            found.append(_results(given, platform))
    cells = (" / ".join(pair) for pair in zip(*found, strict=True))
    return f"| {kind.format} | {kind.name} | {' | '.join(cells)} |"


def _results(given: Path, platform: FakePlatform) -> list[str]:
    return [result(entry(given, platform), name == PREVIEW) for name, entry in DESCRIBED.items()]


def result(answer: Answer, is_preview: bool = False) -> str:
    """Return an answer as in the table. Raises KeyError for a refusal that the page does not explain."""
    if answer.refusal:
        return LETTERS[answer.refusal]
    if answer.note:
        if not answer.note.startswith(DAMAGED):
            raise ValueError(answer.note)
        return "in part"
    return "shown" if is_preview else "read"


def page(entry_rows: Iterable[str]) -> str:
    """Return the page with the rows of `entry_row`."""
    formats = (
        f"| {each.name} | {', '.join(each.suffixes)} | {', '.join(each.media_types)} |" for each in FORMATS
    )
    return (
        HEADER.format(
            seconds=SECONDS,
            formats="\n".join(formats),
            read="\n".join(map(read_row, KINDS)),
            damaged=DAMAGED,
            refusals="\n".join(f"  - {letter}: {words}" for letter, words in REFUSALS.items()),
            columns=" | ".join(COLUMNS.values()),
            dashes="|".join("---" for _ in COLUMNS),
            entries="\n".join(entry_rows),
        )
        + attacks()
    )


def attacks() -> str:
    """Return the section on damaged files."""
    figures = json.loads(FIGURES.read_text())
    rows = [
        f"| {name} | {found['mutations']:,} | {found['read']:,} | {found['read in part']:,} | {found['refused']:,} "
        f"| {len(found['faults'])} | {found['longest_s']:.3f} | {found['peak_mb']} |"
        for name, found in figures["formats"].items()
    ]
    return ATTACKS.format(**figures) + "\n".join(rows) + "\n"


def main() -> None:
    """Print the page."""
    rows = []
    for kind in ENTRY_KINDS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(entry_row(kind, Path(folder)))
    print(page(rows), end="")


if __name__ == "__main__":
    main()
