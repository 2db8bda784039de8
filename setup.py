"""The packages and package data of the platform; all other metadata is in pyproject.toml."""

from setuptools import Extension, find_packages, setup

LIBRARY = "layers/dsp/python"
# Optional: without a C compiler, numpy computes the same. The flags permit the compiler to sum in another
# order, which vector registers need. Unlike -ffast-math they change neither NaN nor the processor's modes.
KERNEL = Extension(
    "anc.dsp._kernel",
    [f"{LIBRARY}/anc/dsp/kernel.c"],
    extra_compile_args=["-O3", "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math"],
    optional=True,
)

setup(
    packages=[
        *find_packages(LIBRARY),
        *find_packages(include=["functions*", "iot*", "local*", "simulation*", "tools*", "training*"]),
        "local.observability",
        "local.web",
    ],
    ext_modules=[KERNEL],
    package_dir={"anc": f"{LIBRARY}/anc", "local.observability": "deploy/observability", "local.web": "web"},
    package_data={
        "anc": ["*/*.npz", "*/*.pem"],
        "local.observability": ["**/*.json", "**/*.yml"],
        "tools": ["**/*.md", "**/*.toml", "cost/*.json"],
        "local.web": ["**/*"],
    },
)
