"""Every benchmark starts: none imports what has moved."""

import importlib
import pkgutil

import pytest

import benchmarks

NAMES = sorted(module.name for module in pkgutil.walk_packages(benchmarks.__path__, "benchmarks."))


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_imported(name):
    importlib.import_module(name)
