"""Make installed distributions available in another environment, offline."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement


def link(names: Iterable[str], folder: Path) -> None:
    """Make distributions importable from a folder, and visible there to pip, with links to their files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / top)


def closure(requirements: Iterable[str]) -> set[str]:
    """Return the names of all distributions that the requirements depend on."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(each) for each in requirements]
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            if (requirement.name, extra) not in found:
                found.add((requirement.name, extra))
                waiting += _required(requirement.name, extra)
    return {name for name, _ in found}


def _required(name: str, extra: str) -> list[Requirement]:
    try:
        listed = [Requirement(each) for each in distribution(name).requires or ()]
    except PackageNotFoundError as fault:
        raise AssertionError(f"{name} is required and not installed here: make .venv/dev.stamp") from fault
    return [each for each in listed if each.marker is None or each.marker.evaluate({"extra": extra})]
