"""Write the test vectors of the current version to `docs/vectors`. Files that exist stay as they are.

A result may differ in its last digits from machine to machine, so files are written once. To change a message
or a result, raise VERSION, which starts a new folder.
"""

from pathlib import Path

from tools.vectors import dsp, messages, states

VERSION = 1
ROOT = Path(__file__).parents[2] / "docs" / "vectors"


def files() -> dict[str, bytes]:
    """Return the files of the current version by name."""
    return {"messages.json": messages.document(), "states.json": states.document(), **dsp.files()}


def main() -> None:
    """Write the missing files of the current version."""
    folder = ROOT / str(VERSION)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files().items():
        if not (folder / name).exists():
            (folder / name).write_bytes(data)
            print(f"{folder / name}: {len(data):,} bytes")


if __name__ == "__main__":
    main()
