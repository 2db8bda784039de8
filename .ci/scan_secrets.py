"""Search the working tree and the commits of a change for keys and tokens; exit with 1 if any is found.

    python .ci/scan_secrets.py [BASE]

The change consists of the commits between BASE and HEAD, or of the last commits if BASE is missing or unknown
(shallow clone, first push of a branch). A key stays published even if a later commit removes it.

All key detectors of detect-secrets are used, without baseline or exempting comments. Its detectors of
passwords and high-entropy text are disabled, because they only find hashes and examples here.
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
LAST = 200  # commits to search without a base
# History up to here contains the key of one data folder. A platform with that key creates a new one.
SEARCHED = "a342b52973241fed59fa35ad72c469692b073761"


class Finding(NamedTuple):
    """A line with a possible secret; `commit` is "" for the working tree."""

    commit: str
    file: str
    line: int
    kind: str


def git(*arguments: str) -> str:
    """Return the output of a git command."""
    command = ["git", "-c", "core.quotePath=false", *arguments]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode(errors="replace")


def search(commit: str, files: Mapping[str, Iterable[str]], searched: set[str]) -> Iterator[Finding]:
    """Search lines by file name, except those searched before."""
    for name, lines in files.items():
        if name.endswith(KEY_FILES):
            yield Finding(commit, name, 1, "Key file")
        for number, line in enumerate(lines, 1):
            if line not in searched:
                searched.add(line)
                kinds = [each.secret_type for each in DETECTORS if any(each.analyze_string(line))]
                yield from (Finding(commit, name, number, kind) for kind in kinds)


def tree() -> dict[str, list[str]]:
    """Return the lines of all tracked text files in the working tree."""
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
    """Return whether this clone contains a commit."""
    command = ["git", "cat-file", "-e", f"{name}^{{commit}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def added(commit: str) -> dict[str, list[str]]:
    """Return the lines that a commit adds, by file; for a merge, those that no parent has."""
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
    """Search, and print the locations of findings but not the secrets."""
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
        print("Remove it from every commit. If it was pushed, replace it wherever it is used.")
    return 1 if findings else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Search the tree and each commit of a change for secrets.")
    parser.add_argument("base", nargs="?", default="", help="commit that the change begins after")
    sys.exit(main(parser.parse_args().base))
