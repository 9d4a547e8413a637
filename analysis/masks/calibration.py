"""From frames of each mask to a measured mask set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from analysis.imaging.camera_noise import CameraNoise, camera_noise
from analysis.masks.geometry import Geometry
from analysis.masks.image_grid import ImageGrid
from analysis.masks.registration import common_geometry, registered

REGISTRATION = ("shift_y_px", "shift_x_px", "magnification", "rotation_mrad", "depth", "departure")
"""Registration of each mask against its design; NaN where the design has no structure that determines the value.

Shifts (mask pixels), magnification and rotation are relative to the median of all masks, because the position of the camera is
not a property of a mask. The modulation depth is (Tmax - Tmin) / Tmax. The departure is the root mean square over the pixels of
the measured minus the designed transmission, after registration and with the level and contrast of the design fitted.
"""

_FIRST = 16  # number of masks that determine the position of the image grid in the frames


@dataclass(frozen=True, eq=False)
class MeasuredMasks:
    """Masks as they are in the beam.

    Attributes
    ----------
    patterns : ndarray, float32, (M, H, W)
        Transmission of each pixel of the image grid; the design for masks that were not measured.
    uncertainty : ndarray, float32, (M, H, W)
        Its standard error; NaN where it is unknown, and for masks that were not measured.
    registration : ndarray, float64, (M, 6)
        See `REGISTRATION`; NaN for masks that were not measured.
    measured : ndarray, bool, (M,)
        Which masks were measured.
    grid : Geometry, optional
        Position of the image grid in the frames.
    """

    patterns: np.ndarray
    uncertainty: np.ndarray
    registration: np.ndarray
    measured: np.ndarray
    grid: Geometry | None = None


def out_of_tolerance(registration: np.ndarray, shift_px: float, departure: float) -> list[int]:
    """Return the masks whose shift or departure from the design exceeds these limits."""
    found = np.nan_to_num(registration)
    beside = np.abs(found[:, :2]).max(axis=1) > shift_px
    return np.flatnonzero(beside | (found[:, REGISTRATION.index("departure")] > departure)).tolist()


def registration_figures(registration: np.ndarray) -> dict[str, float]:
    """Return the median modulation depth and the root mean square shift of the masks for which they are known, or NaN."""
    depths = registration[:, REGISTRATION.index("depth")]
    depths = depths[np.isfinite(depths)]
    shifts = registration[np.isfinite(registration[:, :2]).all(axis=1), :2]
    return {
        "depth": float(np.median(depths)) if len(depths) else float("nan"),
        "shift_px": float(np.sqrt(np.mean((shifts**2).sum(axis=1)))) if len(shifts) else float("nan"),
    }


class MaskCalibration:
    """Measures masks from their exposures, one mask at a time.

    Parameters
    ----------
    designs : ndarray, float32, (M, H, W)
        Transmission as designed.
    scale : float
        Expected number of camera pixels per mask pixel, along one axis.
    flat : ndarray, float32, (H', W')
        Counts above dark without a mask.
    flats : int
        Number of frames averaged in `flat`.
    dead : ndarray, bool, (H', W')
        Pixels that do not measure light.
    """

    def __init__(self, designs: np.ndarray, scale: float, flat: np.ndarray, flats: int, dead: np.ndarray) -> None:
        self._designs, self._scale, self._dead = designs, scale, dead
        self._nearest = distance_transform_edt(dead, return_distances=False, return_indices=True) if dead.any() else None
        self._flat, self._flats = self._whole(flat), flats
        self._waiting: list[tuple[int, np.ndarray]] = []
        self._grid: ImageGrid | None = None
        self._geometry: Geometry | None = None
        self._noise: CameraNoise | None = None
        shape = designs.shape
        self._patterns, self._uncertainty = np.zeros(shape, np.float32), np.full(shape, np.nan, np.float32)
        self._registration = np.full((shape[0], len(REGISTRATION)), np.nan)
        self._levels = np.full((shape[0], 2), np.nan)
        self._measured = np.zeros(shape[0], dtype=bool)
        self.newest: int | None = None

    def add(self, index: int, exposures: np.ndarray) -> None:
        """Add a mask by all its exposures, counts above dark (E, H', W').

        Raises
        ------
        NotTheMasks
            If the first masks do not look like their designs.
        ValueError
            If the masks are not completely inside the frames, or the camera pixels are larger than the mask pixels.
        """
        self._waiting.append((index, exposures))
        telling = sum(bool(np.ptp(self._designs[one]) > 0) for one, _ in self._waiting)
        if self._grid is not None or telling >= _FIRST:
            self._measure()

    def finish(self) -> MeasuredMasks:
        """Return all masks measured so far."""
        if self._waiting:
            self._measure()
        registration = self._registration.copy()
        for column, middle in ((0, 0.0), (1, 0.0), (2, 1.0), (3, 0.0)):
            known = registration[np.isfinite(registration[:, column]), column]
            registration[:, column] += middle - (np.median(known) if len(known) else middle)
        patterns = self._patterns.copy()
        level, contrast = np.median(self._levels[self._measured], axis=0)
        patterns[~self._measured] = level + contrast * self._designs[~self._measured]
        return MeasuredMasks(patterns, self._uncertainty.copy(), registration, self._measured.copy(), self._geometry)

    def pattern(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return transmission, standard error and departure from the design of a measured mask, each float32 (H, W)."""
        level, contrast = self._levels[index]
        departure = self._patterns[index] - (level + contrast * self._designs[index])
        return self._patterns[index], self._uncertainty[index], departure.astype(np.float32)

    def _measure(self) -> None:
        if self._grid is None:
            self._find_grid()
        for index, exposures in self._waiting:
            self._measure_one(index, exposures)
        self._waiting.clear()

    def _find_grid(self) -> None:
        first = self._waiting[: 2 * _FIRST]
        frames = [self._transmission(exposures.mean(axis=0)) for _, exposures in first]
        designs = [self._designs[index] for index, _ in first]
        self._geometry = _mean_geometry(frames, designs, common_geometry(frames, designs, self._scale))
        self._grid = ImageGrid(self._geometry, self._designs.shape[1:], self._flat.shape, self._dead)
        self._noise = _noise_of([self._whole(exposures[:2]) for _, exposures in first if len(exposures) > 1])

    def _measure_one(self, index: int, exposures: np.ndarray) -> None:
        assert self._grid is not None and self._geometry is not None
        counts = self._whole(exposures.mean(axis=0))
        frame, design = counts / self._flat, self._designs[index]
        found = registered(frame, design, self._geometry) if np.ptp(design) > 0 else None
        certain = found is not None and found.known[:2].all() and found.likeness > 0.5
        place = found.geometry if found is not None and certain else self._geometry
        level, contrast = self._grid.level_and_contrast(frame, design, place)
        pattern, departure = self._grid.pattern(frame, level + contrast * design, place)
        self._patterns[index], self._levels[index] = pattern, (level, contrast)
        if self._noise is not None:
            self._uncertainty[index] = self._grid.error(self._variance(counts, frame, len(exposures)))
        self._measured[index], self.newest = True, index
        if found is not None:
            against = np.array(found.geometry.against(self._geometry)) * [1, 1, 1, 1000]
            self._registration[index, :4] = np.where(found.known, against, np.nan)
            high = level + contrast * float(design.max())
            self._registration[index, 4] = contrast * float(np.ptp(design)) / high
        self._registration[index, 5] = np.sqrt(np.mean(departure**2))

    def _variance(self, counts: np.ndarray, frame: np.ndarray, exposures: int) -> np.ndarray:
        """Return the variance of the transmission of each camera pixel, due to noise of the frames and of the flat field."""
        assert self._noise is not None
        gain, read = self._noise.gain, self._noise.read_variance
        of_frame = (gain * np.maximum(counts, 0.0) + read) / exposures
        of_flat = frame**2 * (gain * self._flat + read) / self._flats
        return np.asarray((of_frame + of_flat) / self._flat**2)

    def _transmission(self, counts: np.ndarray) -> np.ndarray:
        return np.asarray(self._whole(counts) / self._flat)

    def _whole(self, frames: np.ndarray) -> np.ndarray:
        """Return frames (..., H', W') in which each dead pixel has the value of the nearest working pixel."""
        return frames if self._nearest is None else frames[..., self._nearest[0], self._nearest[1]]


def _mean_geometry(frames: list[np.ndarray], designs: list[np.ndarray], start: Geometry) -> Geometry:
    """Return the mean geometry of individually registered masks, because each mask may be displaced."""
    every = [registered(frame, design, start) for frame, design in zip(frames, designs, strict=True) if np.ptp(design) > 0]
    good = [one.geometry for one in every if one.known.all() and one.likeness > 0.5]
    if not good:
        return start
    return Geometry(*(float(np.mean([getattr(one, name) for one in good])) for name in ("y", "x", "scale", "rotation")))


def _noise_of(pairs: list[np.ndarray]) -> CameraNoise | None:
    """Return the camera noise, determined from pairs of exposures (2, H', W'); None if no pair determines it."""
    found = []
    for a, b in pairs:
        try:
            found.append(camera_noise(a, b))
        except ValueError:
            continue
    if not found:
        return None
    return CameraNoise(*(float(np.median([getattr(one, name) for one in found])) for name in ("gain", "read_variance")))
