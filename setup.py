"""The packages and package data of the platform; all other metadata is in pyproject.toml."""

from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

LIBRARY = "layers/dsp/python"
# Optional: without a C compiler, numpy computes the same. The flags permit the compiler to sum in another
# order, which vector registers need. Unlike -ffast-math they change neither NaN nor the processor's modes.
KERNEL = Extension(
    "anc.dsp._kernel",
    [f"{LIBRARY}/anc/dsp/kernel.c"],
    # Debug information would contain the folder of the build.
    extra_compile_args=["-O3", "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-g0"],
    optional=True,
)


# The kernel is a C library that ctypes loads: one build serves every Python.
class BuildKernel(build_ext):
    """Compiles the kernel under a name that every Python finds."""

    def get_ext_filename(self, fullname: str) -> str:
        """Return the file name without the version of Python."""
        return f"{fullname.replace('.', '/')}.so"


class PlatformWheel(bdist_wheel):
    """A wheel for one platform and any Python 3."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tags of the file name."""
        return "py3", "none", super().get_tag()[2]


setup(
    packages=[
        *find_packages(LIBRARY),
        *find_packages(include=["functions*", "iot*", "local*", "simulation*", "tools*", "training*"]),
        "local.observability",
        "local.web",
    ],
    ext_modules=[KERNEL],
    cmdclass={"build_ext": BuildKernel, "bdist_wheel": PlatformWheel},
    package_dir={"anc": f"{LIBRARY}/anc", "local.observability": "deploy/observability", "local.web": "web"},
    package_data={
        "anc": ["*/*.npz", "*/*.pem"],
        "local.observability": ["**/*.json", "**/*.yml"],
        "tools": ["**/*.md", "**/*.toml", "cost/*.json"],
        "local.web": ["**/*"],
    },
)
