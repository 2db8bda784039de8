"""The packages and package data of the platform; all other metadata is in pyproject.toml."""

from setuptools import find_packages, setup

LIBRARY = "layers/dsp/python"

setup(
    packages=[
        *find_packages(LIBRARY),
        *find_packages(include=["functions*", "iot*", "local*", "simulation*", "tools*", "training*"]),
        "local.web",
    ],
    package_dir={"anc": f"{LIBRARY}/anc", "local.web": "web"},
    package_data={
        "anc": ["*/*.npz", "*/*.pem"],
        "local": ["monitoring/*"],
        "tools": ["**/*.md", "*.toml"],
        "local.web": ["**/*"],
    },
)
