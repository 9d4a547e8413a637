"""Denoisers that learn nothing: Gaussian, total variation and non-local means, fitted to the noise of the pair at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from analysis.imaging.camera_noise import CameraNoise, camera_noise
from analysis.imaging.denoise import non_local_means, total_variation

from .prepared import Pair

_WIDTHS = 0.25 * 1.19 ** np.arange(24)  # pixels, up to 14


@dataclass(frozen=True)
class GaussianFilter:
    """A Gaussian of one width.

    Attributes
    ----------
    width : float
        Standard deviation, pixels.
    """

    width: float

    learned_above_floor = float("nan")

    def one(self, image: np.ndarray) -> np.ndarray:
        """An image (H, W) filtered, float32."""
        return np.asarray(gaussian_filter(image, self.width), dtype=np.float32)

    def pair(self, pair: Pair) -> np.ndarray:
        """The mean of a pair filtered."""
        return self.one(pair.mean)


def best_gaussian(pairs: list[Pair]) -> GaussianFilter:
    """The Gaussian whose image of the mean of a pair is expected to be the nearest to the scene.

    Half the difference of a pair has the noise of its mean, neighbours' correlations included, and no scene. So the expected
    error of a linear filter is known without the scene: Stein, Ann. Statist. 9, 1135 (1981), with the noise as it was measured.
    """

    def error(width: float) -> float:
        total = 0.0
        for pair in pairs:
            noise = (pair.a - pair.b) / 2
            removed = (pair.mean - gaussian_filter(pair.mean, width))[pair.measured]
            kept = (noise * gaussian_filter(noise, width))[pair.measured]
            total += float((removed.astype(np.float64) ** 2).mean() + 2 * kept.astype(np.float64).mean())
        return total

    return GaussianFilter(float(min(_WIDTHS, key=error)))


@dataclass(frozen=True)
class StabilisedFilter:
    """A denoiser of white noise, between an Anscombe transform and its inverse.

    Attributes
    ----------
    denoise : callable
        Gets an image (H, W) and the deviation of its noise, and returns one without.
    noise : CameraNoise
        Of one image of a pair.
    """

    denoise: Callable[[np.ndarray, float], np.ndarray]
    noise: CameraNoise

    learned_above_floor = float("nan")

    def one(self, image: np.ndarray) -> np.ndarray:
        """An image (H, W) of a pair denoised, float32."""
        return self._denoised(image, self.noise)

    def pair(self, pair: Pair) -> np.ndarray:
        """The mean of a pair denoised."""
        return self._denoised(pair.mean, CameraNoise(self.noise.gain / 2, self.noise.read_variance / 2))

    def _denoised(self, image: np.ndarray, noise: CameraNoise) -> np.ndarray:
        return np.asarray(noise.counts(self.denoise(noise.stabilised(image), 1.0)), dtype=np.float32)


def stabilised_filter(pairs: list[Pair], denoise: Callable[[np.ndarray, float], np.ndarray]) -> StabilisedFilter:
    """A denoiser of white noise for pairs whose camera is known by their differences.

    Raises
    ------
    ValueError
        If the camera's gain cannot be told.
    """
    a, b = (np.concatenate([getattr(pair, name) for pair in pairs]) for name in ("a", "b"))
    return StabilisedFilter(denoise, camera_noise(a, b))


def total_variation_filter(pairs: list[Pair]) -> StabilisedFilter:
    """Total variation for pairs like these."""
    return stabilised_filter(pairs, total_variation)


def non_local_means_filter(pairs: list[Pair]) -> StabilisedFilter:
    """Non-local means for pairs like these."""
    return stabilised_filter(pairs, non_local_means)
