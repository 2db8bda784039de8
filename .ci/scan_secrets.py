"""Search the tree and each commit of a change for keys and tokens; exit with 1 when one is found.

    python .ci/scan_secrets.py [BASE]

The change is what HEAD has and the commit BASE has not; without BASE, or where it is not known (a shallow
clone, the first push of a branch), the last commits. A key that one commit adds and a later one removes is
still published.

Every form of key that detect-secrets knows is searched for, and nothing is exempt: no baseline, no comments.
Its detectors of passwords and of random text are left out: here they find hashes and examples alone.
"""

import argparse
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

GUESSES = ("KeywordDetector", "Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector")
DETECTORS = [
    detector()
    for detector in get_mapping_from_secret_type_to_class().values()
    if detector.__name__ not in GUESSES
]
KEY_FILES = (".key", ".p12", ".pfx", ".jks", ".kdbx")
LAST = 200  # commits that are searched without a base
# The history until here holds one key, of a data folder. A platform that finds it there makes a new one.
SEARCHED = "a342b52973241fed59fa35ad72c469692b073761"


class Finding(NamedTuple):
    """A line that looks like a secret; `commit` is "" for the tree."""

    commit: str
    file: str
    line: int
    kind: str


def git(*arguments: str) -> str:
    """Return what a git command prints."""
    command = ["git", "-c", "core.quotePath=false", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode(errors="replace")


def search(commit: str, files: Mapping[str, Iterable[str]], searched: set[str]) -> Iterator[Finding]:
    """Search lines by file name, but for those that were searched before, and note that they were."""
    for name, lines in files.items():
        if name.endswith(KEY_FILES):
            yield Finding(commit, name, 1, "Key file")
        for number, line in enumerate(lines, 1):
            if line not in searched:
                searched.add(line)
                kinds = [each.secret_type for each in DETECTORS if any(each.analyze_string(line))]
                yield from (Finding(commit, name, number, kind) for kind in kinds)


def tree() -> dict[str, list[str]]:
    """Return the lines of every tracked file as it is in the working tree; none of a binary one."""
    files = {}
    for name in git("ls-files", "-z").split("\0"):
        path = Path(name)
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            files[name] = [] if b"\0" in content else content.decode(errors="replace").splitlines()
    return files


def commits(base: str) -> list[str]:
    """Return the commits to search, newest first."""
    known = [commit for commit in (base, SEARCHED) if commit and is_commit(commit)]
    limit = [] if base in known else [f"--max-count={LAST}"]
    return git("rev-list", *limit, "HEAD", *(f"^{commit}" for commit in known)).split()


def is_commit(name: str) -> bool:
    """Return whether this clone has a commit of that name."""
    command = ["git", "cat-file", "-e", f"{name}^{{commit}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def added(commit: str) -> dict[str, list[str]]:
    """Return the lines that a commit adds, by file; of a merge those that none of its parents has."""
    options = ("--format=", "--diff-merges=dense-combined", "--unified=0", "--no-renames", "--no-ext-diff")
    files: dict[str, list[str]] = defaultdict(list)
    name, parents = "", 0  # parents: 0 outside of a hunk
    for line in git("show", *options, "--no-color", commit).splitlines():
        if line.startswith("diff --"):
            name, parents = "", 0
        elif not parents and line.startswith("+++ "):
            name = line[4:].removeprefix("b/").rstrip("\t")
        elif hunk := re.match("@@+", line):
            parents = len(hunk[0]) - 1
        elif parents and "+" in line[:parents]:
            files[name].append(line[parents:])
    return files


def main(base: str) -> int:
    """Search, and print what was found without showing it."""
    searched: set[str] = set()
    here, changes = tree(), commits(base)
    findings = list(search("", here, searched))
    for commit in changes:
        findings += search(commit, added(commit), searched)
    for found in findings:
        where = f"commit {found.commit[:12]}, {found.file}" if found.commit else f"{found.file}:{found.line}"
        print(f"{where}: {found.kind}")
    print(f"secrets: {len(findings)} found in {len(here)} files and {len(changes)} commits")
    if findings:
        print("Take it out of every commit. If it was pushed, replace it wherever it is in use.")
    return 1 if findings else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Search the tree and each commit of a change for secrets.")
    parser.add_argument("base", nargs="?", default="", help="commit that the change begins after")
    sys.exit(main(parser.parse_args().base))
