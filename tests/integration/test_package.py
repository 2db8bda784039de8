"""What `pip install` makes of the repository can be used where there is no checkout."""

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]
SOURCES = ("layers", "anc_client", "functions", "local", "iot", "infra", "training")
FILES = ("pyproject.toml", "README.md", "LICENSE")
NOT_OURS = shutil.ignore_patterns("__pycache__", "*.egg-info")


def test_a_wheel_holds_every_module_and_the_model_and_its_client_can_be_imported(tmp_path: Path) -> None:
    for folder in SOURCES:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=NOT_OURS)
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        "made",
        ".",
    ]
    subprocess.run(build, cwd=tmp_path, check=True)
    (wheel,) = (tmp_path / "made").glob("*.whl")
    held = set(ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT) for folder in SOURCES for path in (ROOT / folder).rglob("*.py")}
    assert {str(path).removeprefix("layers/dsp/python/") for path in modules} <= held
    assert "anc/noise/model.npz" in held
    say = "import sys; sys.path.insert(0, sys.argv[1]); import anc_client; print(anc_client.__file__)"
    ask = [sys.executable, "-c", say, str(wheel)]
    used = subprocess.run(ask, cwd=tmp_path / "made", capture_output=True, text=True, check=True)
    assert used.stdout.startswith(str(wheel))
