"""Deviation of an object from the truth, except for what ptychography cannot determine: a shift, a phase, a linear phase."""

from __future__ import annotations

import numpy as np
from skimage.registration import phase_cross_correlation


def aligned_phase(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The phase of an object (H, W), shifted by whole pixels and with its linear phase adapted to the truth; float32."""
    if not np.ptp(np.angle(found)):
        return np.zeros(truth.shape, dtype=np.float32)  # nothing is known yet
    window = np.hanning(truth.shape[0])[:, None] * np.hanning(truth.shape[1])[None, :]
    images = [_steepness(field) * window for field in (truth, found)]
    shift, *_ = phase_cross_correlation(*(image - image.mean() for image in images), normalization=None)
    ratio = np.roll(found, shift.astype(int), axis=(0, 1)).astype(np.complex128) * truth.conj()
    axes = [np.arange(size) - (size - 1) / 2 for size in ratio.shape]
    for _ in range(3):
        slopes = [np.angle((ratio[1:] * ratio[:-1].conj()).sum()), np.angle((ratio[:, 1:] * ratio[:, :-1].conj()).sum())]
        ratio = ratio * np.exp(-1j * (slopes[0] * axes[0][:, None] + slopes[1] * axes[1][None, :]))
    ratio *= np.exp(-1j * np.angle(ratio.sum()))
    return np.asarray(np.angle(ratio * truth), dtype=np.float32)


def phase_error(phase: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square of a phase's error, rad."""
    return float(np.sqrt(np.mean((phase - np.angle(truth)) ** 2)))


def likeness(phase: np.ndarray, truth: np.ndarray) -> float:
    """Correlation of a phase with the true one: 1 for the same, 0 for a constant phase."""
    if not np.ptp(phase):
        return 0.0
    return float(np.corrcoef(phase.ravel(), np.angle(truth).ravel())[0, 1])


def _steepness(field: np.ndarray) -> np.ndarray:
    """The local change of the phase around each pixel, which neither a constant nor a slow linear phase alters."""
    return np.abs(np.angle(field * np.roll(field, 1, 0).conj())) + np.abs(np.angle(field * np.roll(field, 1, 1).conj()))
