"""What the tests of the algorithms share."""

import pytest
from ghost_scans import blobs, scan_of


@pytest.fixture(scope="session")
def scan():
    """24 x 24 pixels, 300 realizations, 300 photons per pixel."""
    return scan_of(blobs((24, 24), seed=4), 300, photons=300, seed=5)
