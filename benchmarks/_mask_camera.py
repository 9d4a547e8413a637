"""A camera that images finely drawn masks, for benchmarks of their calibration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import map_coordinates, uniform_filter

from analysis.masks.calibration import MaskCalibration, MeasuredMasks
from analysis.masks.geometry import Geometry

FINE = 8  # parts of a mask pixel along each side; slopes of edges are integer multiples of them
_PARTS = 4  # of a camera pixel
_AROUND = 6  # mask pixels of metal around the mask


def frame_of(
    mask: np.ndarray, place_px: np.ndarray, camera: Geometry, shape: tuple[int, int], metal: float, slope: float
) -> np.ndarray:
    """Transmission (H', W') at a camera's pixels of an etched mask (H, W) that is displaced from its place."""
    fine = np.repeat(np.repeat(np.pad(mask, _AROUND, constant_values=metal), FINE, axis=0), FINE, axis=1)
    if slope:
        fine = uniform_filter(fine, round(slope * FINE))
    y, x = camera.places(place_px[:, None])[:, 0]
    lies = replace(camera, y=float(y), x=float(x))
    parts = (np.arange(_PARTS) + 0.5) / _PARTS - 0.5
    sides = [(np.arange(side)[:, None] + parts).ravel() for side in shape]
    points = lies.points(np.stack([axis.ravel() for axis in np.meshgrid(*sides, indexing="ij")]))
    # An even number of parts is averaged half a part off its centre.
    beside = -0.5 + (0.5 if slope and round(slope * FINE) % 2 == 0 else 0.0)
    at = (points + np.array(mask.shape)[:, None] / 2 + _AROUND) * FINE + beside
    seen = map_coordinates(fine, at, order=1, mode="nearest")
    return np.asarray(seen.reshape(shape[0], _PARTS, shape[1], _PARTS).mean(axis=(1, 3)))


def calibrated(
    designs: np.ndarray,
    etched: np.ndarray,
    places_px: np.ndarray,
    *,
    slope: float,
    light: float,
    exposures: int,
    rng: np.random.Generator,
) -> tuple[MeasuredMasks, tuple[float, float]]:
    """Take frames of all masks with photon noise, and measure the masks.

    The camera has 2.6 pixels per mask pixel, although 2.5 were stated, and is rotated by 0.3 degrees. The displacement of the
    measured masks' image grid from the true one is also returned, (y, x) in mask pixels.
    """
    size = int(2.6 * designs.shape[1]) + 40
    shape = (size, size)
    camera = Geometry(size / 2 + 1.3, size / 2 - 2.2, 2.6, 0.0052)
    flats = rng.poisson(light, (20, *shape)).mean(axis=0)
    calibration = MaskCalibration(designs, 2.5, flats, len(flats), np.zeros(shape, bool))
    for index, (mask, place) in enumerate(zip(etched, places_px, strict=True)):
        frame = frame_of(mask, place, camera, shape, float(designs.min()), slope)
        calibration.add(index, rng.poisson(frame * light, (exposures, *shape)).astype(np.float32))
    found = calibration.finish()
    assert found.grid is not None
    return found, found.grid.against(camera)[:2]
