"""How the noise of neighbouring pixels is correlated, from radiographs of a scene that stands still.

A scintillator spreads the light of each X-ray photon over several pixels: I = h * Poisson(...) + Gaussian(...), so that the
covariance of the noise is H Lambda H' + Sigma. See A. Graas and F. Lucka, "Scintillator Decorrelation for Self-supervised X-ray
Radiograph Denoising" (2025).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy.fft

LAGS = 12
"""Pixels up to which the correlation is measured."""

NEIGHBOURS = 4
"""Pixels up to which it is summed: over 9x9 pixels without the one in the middle."""

_FAR = 8  # pixels from which on noise is not correlated, whatever the scintillator
_MOVED = 0.02  # correlation there that tells of a scene that moves


@dataclass(frozen=True, eq=False)
class Correlation:
    """Correlation of the noise with that of other pixels, by variances (Pearson).

    Attributes
    ----------
    values : ndarray, float64, (2 LAGS + 1, 2 LAGS + 1)
        By lag (y, x); 1 in the middle.
    samples : int
        Pixels that it was measured with.
    """

    values: np.ndarray
    samples: int

    @property
    def summed_percent(self) -> float:
        """The correlation with all neighbours within 4 pixels, summed, in percent; 0 of white noise."""
        near = slice(LAGS - NEIGHBOURS, LAGS + NEIGHBOURS + 1)
        return float(100 * (self.values[near, near].sum() - 1))

    @property
    def error_percent(self) -> float:
        """Standard error of that sum (Bartlett's formula)."""
        lags = (2 * NEIGHBOURS + 1) ** 2 - 1
        near = slice(LAGS - NEIGHBOURS, LAGS + NEIGHBOURS + 1)
        return float(100 * np.sqrt(lags * (self.values[near, near] ** 2).sum() / self.samples))

    @property
    def far(self) -> float:
        """The largest correlation, of either sign, with pixels 8 to 12 pixels away."""
        y, x = np.mgrid[-LAGS : LAGS + 1, -LAGS : LAGS + 1]
        return float(np.abs(self.values[np.maximum(np.abs(y), np.abs(x)) >= _FAR]).max())


def correlation_by_differences(frames: np.ndarray) -> Correlation:
    """Measure it from the differences of frames (N, H, W) to the next, each brought to the same total before.

    So neither a scene nor a beam that drifts counts. NaN marks pixels that are left out.

    Raises
    ------
    ValueError
        If there are fewer than 2 frames, or the scene moves.
    """
    if len(frames) < 2:
        raise ValueError(f"{len(frames)} static frames are too few to tell noise from scene: take at least 2, better 20")
    known = np.isfinite(frames).all(axis=0)
    totals = np.array([frame[known].sum(dtype=np.float64) for frame in frames])
    if not (totals > 0).all():
        raise ValueError("some static frames hold no light: leave them out")
    level = totals.mean()
    scaled = (frame * (level / total) for frame, total in zip(frames, totals, strict=True))
    noise = (after - before for before, after in pairwise(scaled))
    found = _correlation(noise, known)
    if found.far > _MOVED and found.far > 6 * found.error_percent / 100 / (2 * NEIGHBOURS + 1):
        raise ValueError(
            f"the static frames move: their differences are correlated by {found.far:.2f} over 8 pixels and more, which no "
            "scintillator does. Take them of a scene that stands still"
        )
    return found


def correlation_by_mean(frames: np.ndarray) -> Correlation:
    """Measure it from the differences of frames (N, H, W) to their mean; for a beam that is stable.

    Raises
    ------
    ValueError
        If there are fewer than 2 frames.
    """
    if len(frames) < 2:
        raise ValueError(f"{len(frames)} static frames are too few to tell noise from scene: take at least 2, better 20")
    known = np.isfinite(frames).all(axis=0)
    mean = frames.mean(axis=0, dtype=np.float64)
    return _correlation((frame - mean for frame in frames), known)


def _correlation(noise: Iterable[np.ndarray], known: np.ndarray) -> Correlation:
    """Of images of noise, over pairs of known pixels."""
    height, width = known.shape
    shape = tuple(scipy.fft.next_fast_len(side + LAGS, real=True) for side in (height, width))
    power, number = np.zeros((shape[0], shape[1] // 2 + 1)), 0
    for image in noise:
        power += np.abs(scipy.fft.rfft2(np.where(known, image, 0.0), shape)) ** 2
        number += 1
    pairs = number * np.abs(scipy.fft.rfft2(known.astype(np.float64), shape)) ** 2
    sums, counts = (scipy.fft.irfft2(spectrum, shape) for spectrum in (power, pairs))
    lags = np.arange(-LAGS, LAGS + 1)
    covariance = sums[np.ix_(lags, lags)] / np.maximum(counts[np.ix_(lags, lags)], 1)
    if not covariance[LAGS, LAGS] > 0:
        raise ValueError("the static frames are all the same: they hold no noise. Were they copied?")
    # Equal totals take their share from each lag: the noise of a frame then sums to nothing.
    pixels = int(np.count_nonzero(known))
    covariance += covariance.sum() / pixels
    return Correlation(covariance / covariance[LAGS, LAGS], number * pixels)
