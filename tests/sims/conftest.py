"""Chooses the Channel Access port before a test module loads libca."""

from pathlib import Path

import pytest
import soft_ioc  # noqa: F401

from beamline.mask_designs import hadamard, make_plate


@pytest.fixture(scope="session")
def plate_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small plate: 64 Hadamard masks of 8x8 pixels of 10 um."""
    path = tmp_path_factory.mktemp("plate") / "small.npz"
    make_plate("small", hadamard(8), 10.0).save(path)
    return path
