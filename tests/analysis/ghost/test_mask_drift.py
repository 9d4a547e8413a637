"""Masks that move during a scan are noticed, and steady ones cause no alarm."""

import numpy as np
import pytest
from ghost_scans import blobs

from analysis.ghost import reconstruct
from analysis.ghost.mask_drift import mask_drift
from sims.shift import shifted


def scanned(drift_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Masks as they are told, and buckets of masks that move so far along x."""
    rng = np.random.default_rng(1)
    image = blobs((20, 20), seed=2)
    masks = (0.17 + 0.83 * rng.integers(0, 2, (320, 20, 20))).astype(np.float32)
    moves = np.linspace(0, drift_px, len(masks))
    seen = [shifted(mask - 0.17, (0.0, move)) + 0.17 for mask, move in zip(masks, moves, strict=True)]
    return masks, rng.poisson(3000 * np.tensordot(seen, image, 2)) / 3000


@pytest.mark.parametrize(("drift_px", "noticed"), [(0.0, False), (0.5, True)])
def test_masks_that_moved_are_noticed_from_the_buckets(drift_px, noticed):
    found = reconstruct(*scanned(drift_px), "tv").figures
    assert found["mask_drift_px"] == pytest.approx(drift_px, abs=0.2)
    assert (found["mask_drift_least_px"] > 0.1) is noticed


def test_steady_masks_cause_no_alarm():
    rng = np.random.default_rng(0)
    least = []
    for _ in range(500):
        predicted, slopes = rng.normal(10, 1, 150), rng.normal(0, 0.5, (2, 150))
        drifting = 0.02 * np.linspace(-1, 1, 150) * predicted  # of the light, not of the masks
        missed = rng.normal(0, 0.3, 150) + drifting + 0.2 * slopes[0]
        least.append(mask_drift(missed, predicted, slopes, np.ones(150)).at_least)
    assert max(least) == 0.0


def test_little_data_and_an_empty_image_tell_nothing():
    few = mask_drift(np.ones(20), np.arange(20.0), np.ones((2, 20)), np.ones(20))
    flat = mask_drift(np.ones(200), np.zeros(200), np.zeros((2, 200)), np.ones(200))
    assert np.isnan([few.pixels, few.at_least, flat.pixels, flat.at_least]).all()
