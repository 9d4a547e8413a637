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
"""What is known of each mask against its design; NaN where the design has no structure that would tell.

Shifts in mask pixels, magnification and rotation count from the median of all masks, since where the camera stands is no property
of a mask. The depth of modulation is (Tmax - Tmin) / Tmax. The departure is the root mean square over pixels of measured minus
designed transmission where the mask lies, with the level and the contrast of the design fitted.
"""

_FIRST = 16  # masks by which the image grid is found in the frames


@dataclass(frozen=True, eq=False)
class MeasuredMasks:
    """Masks as they are in the beam.

    Attributes
    ----------
    patterns : ndarray, float32, (M, H, W)
        Transmission of each pixel of the image grid; of masks that were not measured, what their design promises.
    uncertainty : ndarray, float32, (M, H, W)
        Its standard error; NaN where it is not known, and everywhere in masks that were not measured.
    registration : ndarray, float64, (M, 6)
        See `REGISTRATION`; NaN for masks that were not measured.
    measured : ndarray, bool, (M,)
        Which masks were measured.
    grid : Geometry, optional
        Where the image grid lies in the frames.
    """

    patterns: np.ndarray
    uncertainty: np.ndarray
    registration: np.ndarray
    measured: np.ndarray
    grid: Geometry | None = None


def out_of_tolerance(registration: np.ndarray, shift_px: float, departure: float) -> list[int]:
    """Numbers of the masks that lie farther from their place, or depart more from their design, than these limits."""
    found = np.nan_to_num(registration)
    beside = np.abs(found[:, :2]).max(axis=1) > shift_px
    return np.flatnonzero(beside | (found[:, REGISTRATION.index("departure")] > departure)).tolist()


def registration_figures(registration: np.ndarray) -> dict[str, float]:
    """Modulation depth, the median, and shift, the root mean square, of the masks for which they are known; else NaN."""
    depths = registration[:, REGISTRATION.index("depth")]
    depths = depths[np.isfinite(depths)]
    shifts = registration[np.isfinite(registration[:, :2]).all(axis=1), :2]
    return {
        "depth": float(np.median(depths)) if len(depths) else float("nan"),
        "shift_px": float(np.sqrt(np.mean((shifts**2).sum(axis=1)))) if len(shifts) else float("nan"),
    }


class MaskCalibration:
    """Takes the exposures of one mask after the other.

    Parameters
    ----------
    designs : ndarray, float32, (M, H, W)
        Transmission as designed.
    scale : float
        Camera pixels on a mask pixel, as they should be.
    flat : ndarray, float32, (H', W')
        Counts above dark without a mask.
    flats : int
        Frames that it is the mean of.
    dead : ndarray, bool, (H', W')
        Pixels that measure no light.
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
        """Take all exposures of a mask, counts above dark (E, H', W').

        Raises
        ------
        NotTheMasks
            If the first masks do not look like their designs.
        ValueError
            If the masks are not all inside the frames, or the camera's pixels are larger than theirs.
        """
        self._waiting.append((index, exposures))
        telling = sum(bool(np.ptp(self._designs[one]) > 0) for one, _ in self._waiting)
        if self._grid is not None or telling >= _FIRST:
            self._measure()

    def finish(self) -> MeasuredMasks:
        """All masks measured so far."""
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
        """Transmission of a measured mask, its standard error, and its departure from the design, float32 (H, W) each."""
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
        """Variance of the transmission of each camera pixel: of the noise of its frames, and of the flat field."""
        assert self._noise is not None
        gain, read = self._noise.gain, self._noise.read_variance
        of_frame = (gain * np.maximum(counts, 0.0) + read) / exposures
        of_flat = frame**2 * (gain * self._flat + read) / self._flats
        return np.asarray((of_frame + of_flat) / self._flat**2)

    def _transmission(self, counts: np.ndarray) -> np.ndarray:
        return np.asarray(self._whole(counts) / self._flat)

    def _whole(self, frames: np.ndarray) -> np.ndarray:
        """Frames (..., H', W') whose dead pixels have the value of the nearest one that is not."""
        return frames if self._nearest is None else frames[..., self._nearest[0], self._nearest[1]]


def _mean_geometry(frames: list[np.ndarray], designs: list[np.ndarray], start: Geometry) -> Geometry:
    """The mean over masks that are registered one by one: each may lie beside its place."""
    every = [registered(frame, design, start) for frame, design in zip(frames, designs, strict=True) if np.ptp(design) > 0]
    good = [one.geometry for one in every if one.known.all() and one.likeness > 0.5]
    if not good:
        return start
    return Geometry(*(float(np.mean([getattr(one, name) for one in good])) for name in ("y", "x", "scale", "rotation")))


def _noise_of(pairs: list[np.ndarray]) -> CameraNoise | None:
    """The camera's noise from pairs of exposures (2, H', W'); None without any that tells it."""
    found = []
    for a, b in pairs:
        try:
            found.append(camera_noise(a, b))
        except ValueError:
            continue
    if not found:
        return None
    return CameraNoise(*(float(np.median([getattr(one, name) for one in found])) for name in ("gain", "read_variance")))
