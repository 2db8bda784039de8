"""The examples in the docstrings of the library run and print what they show."""

import dataclasses
import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import anc.dsp
import anc.noise

PACKAGES = (anc.dsp, anc.noise)
MODULES = ["anc.audio.formats", "anc.filter_taps", "anc.pcm"] + [
    f"{package.__name__}.{module.name}"
    for package in PACKAGES
    for module in pkgutil.iter_modules(package.__path__)
    if not module.name.startswith("_")  # the compiled kernel is no Python module
]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_print_what_they_show(name):
    names = {"np": np, **vars(anc.dsp), **vars(anc.noise)}
    assert doctest.testmod(importlib.import_module(name), extraglobs=names).failed == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_function_and_class_has_an_example(package):
    without = [
        name
        for name in package.__all__
        if (inspect.isfunction(it := getattr(package, name)) or inspect.isclass(it))
        and not (dataclasses.is_dataclass(it) or issubclass_of(it, Exception))
        and ">>>" not in (it.__doc__ or "")
    ]
    assert without == []


def issubclass_of(it, base):
    return inspect.isclass(it) and issubclass(it, base)
