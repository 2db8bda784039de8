"""Build the endpoint artifact: `python sagemaker/package.py model.tar.gz [--backbone FILE --head FILE]`."""

import argparse
import gzip
import io
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layers" / "dsp" / "python"


def build(target: Path, backbone: Path | None = None, head: Path | None = None) -> list[str]:
    """Write the artifact and return its file names. The build is reproducible.

    Parameters
    ----------
    target : Path
        ``model.tar.gz``.
    backbone, head : Path, optional
        An embedding network and its head; both or neither.
    """
    if (backbone is None) != (head is None):
        raise ValueError("backbone and head: give both or neither")
    files = {"model.npz": LAYER / "anc" / "noise" / "model.npz"}
    files |= {f"code/{name}": ROOT / "sagemaker" / name for name in ("inference.py", "backbone.py")}
    files |= {
        f"code/anc/{name}": LAYER / "anc" / name for name in ("__init__.py", "pcm.py", "sample_rates.py")
    }
    files |= {f"code/anc/noise/{path.name}": path for path in (LAYER / "anc" / "noise").glob("*.py")}
    if backbone and head:
        files |= {f"backbone{backbone.suffix}": backbone, "head.npz": head}
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name in sorted(files):
            content = files[name].read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return sorted(files)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.add_argument("--backbone", type=Path, help="Embedding network, .tflite or .onnx.")
    parser.add_argument("--head", type=Path, help="Head from `training.backbone`, .npz.")
    arguments = parser.parse_args()
    names = build(arguments.target, arguments.backbone, arguments.head)
    print(f"{arguments.target}: {arguments.target.stat().st_size:,} bytes, {len(names)} files")


if __name__ == "__main__":
    main()
