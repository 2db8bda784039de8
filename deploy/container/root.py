"""`python root.py FOLDER`: copy what the platform needs of this Debian to a folder, the root of the image.

That is Python, the certificate authorities, and the libraries of both. A shell, Perl and the package manager
are left out. `var/lib/dpkg/status.d` describes the packages, for scanners that look for vulnerabilities.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = ("base-files", "ca-certificates", "libstdc++6", "python3")
# Needed to install packages, and not to run them.
LEFT_OUT = {"debconf", "dpkg", "mawk", "openssl", "perl-base"}
GENERATED = ("etc/group", "etc/nsswitch.conf", "etc/passwd", "etc/ssl/certs")  # by scripts of packages
UNUSED = re.compile(
    r"^/usr/(share/(doc/(?!.*/copyright$).*|man|locale|lintian|bug)"
    r"|lib/[^/]+/(gconv|libdb-[^/]*)"
    r"|lib/python3[^/]*/(test|pydoc_data|_pyrepl|lib-dynload/_dbm[^/]*))(/|$)"
)


def fields(name: str) -> dict[str, str]:
    """Return a field of every installed package."""
    table = subprocess.check_output(["dpkg-query", "-W", "-f", f"${{Package}}\t${{{name}}}\n"], text=True)
    return dict(line.split("\t", 1) for line in table.splitlines())


def closure() -> list[str]:
    """Return `PACKAGES` and what they depend on."""
    dependencies = {"Pre-Depends": fields("Pre-Depends"), "Depends": fields("Depends")}
    found, waiting = set(LEFT_OUT), list(PACKAGES)
    while waiting:
        package = waiting.pop()
        if package in found:
            continue
        found.add(package)
        for field in dependencies.values():
            for choice in filter(None, field[package].split(", ")):
                names = [name.split()[0].partition(":")[0] for name in choice.split(" | ")]
                waiting += [name for name in names if name in field][:1]
    return sorted(found - LEFT_OUT)


def copy(path: Path, root: Path) -> None:
    """Copy a file, a link or an empty folder to its place below a root."""
    place = root / Path(os.path.realpath(path.parent)).relative_to("/") / path.name
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        place.mkdir(exist_ok=True)
        place.chmod(path.stat().st_mode)
    else:
        shutil.copy2(path, place, follow_symlinks=False)


def main(root: Path) -> None:
    """Create the folder."""
    for link in (path for path in Path("/").iterdir() if path.is_symlink()):  # /lib to /usr/lib, and others
        copy(link, root)
    described = root / "var/lib/dpkg/status.d"
    described.mkdir(parents=True)
    for package in closure():
        (described / package).write_bytes(subprocess.check_output(["dpkg-query", "-s", package]))
        listed = subprocess.check_output(["dpkg-query", "-L", package], text=True).splitlines()
        for path in (Path(line) for line in listed if line.startswith("/") and not UNUSED.match(line)):
            if path != Path("/.") and os.path.lexists(path):
                copy(path, root)
    for name in GENERATED:
        if Path("/", name).is_dir():
            shutil.copytree(Path("/", name), root / name, symlinks=True, dirs_exist_ok=True)
        else:
            copy(Path("/", name), root)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
