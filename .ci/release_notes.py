"""Print the changes of the version of a tag; exit with 1 unless tag, packages and changelog agree.

python .ci/release_notes.py v1.0.0
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHANGELOG = ROOT / "CHANGELOG.md"
SOURCE = ROOT / "layers" / "dsp" / "python" / "anc" / "__init__.py"
HEADING = r"^## \[{}\] - \d{{4}}-\d{{2}}-\d{{2}}$(.*?)(?=^## |\Z)"


def notes(tag: str, changelog: str, source: str) -> str:
    """Return the section of a version. Raises ValueError with the reason when it cannot be released."""
    found = re.search(r'^__version__ = "([^"]+)"', source, re.MULTILINE)
    version = found[1] if found else "unknown"
    if tag != f"v{version}":
        raise ValueError(f"tag {tag}: the packages have version {version}")
    section = re.search(HEADING.format(re.escape(version)), changelog, re.MULTILINE | re.DOTALL)
    if section is None or not section[1].strip():
        raise ValueError(f"CHANGELOG.md: must have a section `## [{version}] - YYYY-MM-DD` with the changes")
    return section[1].strip()


if __name__ == "__main__":
    try:
        print(notes(sys.argv[1], CHANGELOG.read_text(), SOURCE.read_text()))
    except ValueError as fault:
        sys.exit(str(fault))
