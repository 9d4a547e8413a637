"""How far to trust a denoised radiograph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.imaging.hallucination import check_denoised
from analysis.imaging.repair import filled


@dataclass(frozen=True)
class Trust:
    """How far to trust a denoised radiograph.

    Attributes
    ----------
    residual_correlation : float
        Correlation of neighbours in what was removed: near 0 if it is white noise.
    residual_mean : float
        Mean of what was removed, in deviations of the noise.
    null_structure : float
        What was made of noise alone: its deviation over that of the noise; 0 is flat.
    lattice_peaks : float
        Peaks in the spectrum that the radiograph does not have.
    added_texture : float
        Largest power of a band of frequencies over that in the radiograph; sound: up to 1.
    """

    residual_correlation: float
    residual_mean: float
    null_structure: float
    lattice_peaks: float
    added_texture: float


def trust(denoise: Callable[[np.ndarray], np.ndarray], image: np.ndarray, denoised: np.ndarray) -> Trust:
    """Judge what a denoiser made of an image (H, W); NaN is left out."""
    known = np.isfinite(image) & np.isfinite(denoised)
    before, after = (filled(np.where(known, one, 0.0), ~known) for one in (image, denoised))
    removed = np.where(known, before - after, 0.0).astype(np.float64)
    mean, deviation = float(removed[known].mean()), max(float(removed[known].std()), 1e-30)
    # relative noise, since that of counts grows with the light: the same everywhere on a flat scene
    relative = np.where(known & (after > 0), removed / np.sqrt(np.maximum(after, 1e-30)), 0.0)
    found = check_denoised(before, after)
    return Trust(
        residual_correlation=max((_neighbours(relative, known, axis) for axis in (0, 1)), key=abs),
        residual_mean=mean / deviation,
        null_structure=_null_structure(denoise, relative, known, float(after[known].mean())),
        lattice_peaks=float(len(found.lattice)),
        added_texture=found.amplified,
    )


def _neighbours(noise: np.ndarray, known: np.ndarray, axis: int) -> float:
    """Correlation of noise (H, W) with itself one pixel further along an axis."""
    size = noise.shape[axis]
    ends = range(1, size), range(size - 1)
    one, other = (np.take(noise, end, axis) for end in ends)
    both = np.take(known, ends[0], axis) & np.take(known, ends[1], axis)
    x, y = one[both] - one[both].mean(), other[both] - other[both].mean()
    return float((x * y).sum() / max(float(np.sqrt((x**2).sum() * (y**2).sum())), 1e-30))


def _null_structure(denoise: Callable[[np.ndarray], np.ndarray], relative: np.ndarray, known: np.ndarray, level: float) -> float:
    """The noise itself, turned by half a turn and on a scene without structure."""
    noise = relative[::-1, ::-1] * np.sqrt(max(level, 0.0))
    flat = np.where(known[::-1, ::-1], level + noise, np.nan).astype(np.float32)
    made = denoise(flat)
    measured = np.isfinite(made)
    return float(made[measured].std() / max(float(flat[measured].std()), 1e-30))
