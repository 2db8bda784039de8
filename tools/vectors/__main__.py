"""Write the test vectors of the current version to `docs/vectors`; earlier versions stay as they are."""

from pathlib import Path

from tools.vectors import dsp, messages, states

VERSION = 1
ROOT = Path(__file__).parents[2] / "docs" / "vectors"


def files() -> dict[str, bytes]:
    """Return the files of the current version by name."""
    return {"messages.json": messages.document(), "states.json": states.document(), **dsp.files()}


def main() -> None:
    """Write all files of the current version."""
    folder = ROOT / str(VERSION)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files().items():
        (folder / name).write_bytes(data)
        print(f"{folder.relative_to(Path.cwd())}/{name}: {len(data):,} bytes")


if __name__ == "__main__":
    main()
