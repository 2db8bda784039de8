"""Look up every pinned dependency in the OSV database; exit with 1 if a known vulnerability affects one.

    python .ci/audit_dependencies.py [FILE...]

FILE is a lock file; by default those of `requirements/` whose packages are deployed, shipped or run, and that
of `web_types/`, which has the JavaScript packages that `web/vendor` is from. The
names and versions of public packages are all that is sent. A vulnerability that does not apply here is listed
in `ACCEPTED`, with the reason.
"""

import argparse
import json
import re
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

OSV = "https://api.osv.dev/v1/querybatch"
MAX_QUERIES = 1000  # of a request
TIMEOUT_S = 60.0
ROOT = Path(__file__).parents[1]
LOCKS = ("layer.txt", "platform.txt", "image.txt", "run.txt", "client.txt", "train.txt", "dev.txt")
FILES = [*(ROOT / "requirements" / name for name in LOCKS), ROOT / "web_types" / "package-lock.json"]
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
ACCEPTED: dict[str, str] = {}  # reason by id of the vulnerability

Post = Callable[[dict[str, Any]], dict[str, Any]]


class Package(NamedTuple):
    """A pinned package."""

    name: str
    version: str
    ecosystem: str


def pins(paths: Iterable[Path]) -> list[Package]:
    """Return the packages of lock files of pip or npm, sorted, each once."""
    return sorted({package for path in paths for package in _pins_of(path)})


def _pins_of(path: Path) -> Iterator[Package]:
    text = path.read_text()
    if path.suffix == ".json":
        for place, package in json.loads(text)["packages"].items():
            if place:  # the first is the folder itself
                yield Package(place.rpartition("node_modules/")[2], package["version"], "npm")
    else:
        for name, version in PIN.findall(text):
            yield Package(name.lower(), version, "PyPI")


def vulnerabilities(packages: Sequence[Package], post: Post) -> Mapping[Package, list[str]]:
    """Return the ids of known vulnerabilities by package, without those that are accepted.

    Raises
    ------
    ValueError
        If there is nothing to look up, or the answer is not that of the request.
    """
    if not packages:
        raise ValueError("lock files: must pin at least one package")
    found = {}
    for begin in range(0, len(packages), MAX_QUERIES):
        part = packages[begin : begin + MAX_QUERIES]
        results = post({"queries": [_query(package) for package in part]}).get("results", [])
        if len(results) != len(part):
            raise ValueError(f"OSV: must answer {len(part)} queries (got {len(results)} results)")
        for package, result in zip(part, results, strict=True):
            ids = [each["id"] for each in result.get("vulns", []) if each["id"] not in ACCEPTED]
            if ids:
                found[package] = ids
    return found


def _query(package: Package) -> dict[str, Any]:
    return {"package": {"name": package.name, "ecosystem": package.ecosystem}, "version": package.version}


def _post(queries: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(OSV, json.dumps(queries).encode(), headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310  a constant
        document: dict[str, Any] = json.load(answer)
    return document


def main(arguments: Sequence[str] | None = None, post: Post = _post) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    packages = pins(parser.parse_args(arguments).files or FILES)
    found = vulnerabilities(packages, post)
    for package, ids in found.items():
        print(f"{package.name} {package.version}: {', '.join(ids)}")
    print(f"{len(packages)} packages, {len(found)} with a known vulnerability")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
