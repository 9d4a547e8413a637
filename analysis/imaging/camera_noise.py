"""The noise of a camera: its gain and read noise from two images of one scene, and what makes the noise the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

_CELL = 8  # pixels of a cell in which mean and variance are taken


@dataclass(frozen=True)
class CameraNoise:
    """Variance of the noise = gain * mean + read_variance, of images whose zero is without light.

    Attributes
    ----------
    gain : float
        Counts a photon.
    read_variance : float
        Counts squared.
    """

    gain: float
    read_variance: float

    def stabilised(self, image: np.ndarray) -> np.ndarray:
        """The generalised Anscombe transform: noise of unit variance everywhere, float64.

        Murtagh, Starck and Bijaoui, Astron. Astrophys. Suppl. 112, 179 (1995).
        """
        gain = self.gain
        inside = gain * image.astype(np.float64) + 3 / 8 * gain**2 + self.read_variance
        return np.asarray(2 / gain * np.sqrt(np.maximum(inside, 0.0)))

    def counts(self, stabilised: np.ndarray) -> np.ndarray:
        """Back to counts, without bias, of an image that was denoised in between.

        The closed form of the exact unbiased inverse: Makitalo and Foi, IEEE Trans. Image Process. 22, 91 (2013), eq. 10.
        """
        d = np.maximum(stabilised, 1e-3)
        poisson = d**2 / 4 + np.sqrt(1.5) / 4 / d - 11 / 8 / d**2 + 5 / 8 * np.sqrt(1.5) / d**3 - 1 / 8
        lowest = 2 * np.sqrt(3 / 8)  # where a mean of zero lies, without read noise
        poisson = np.where(d < lowest, 0.0, poisson)
        return np.asarray(self.gain * (np.maximum(poisson, 0.0) - self.read_variance / self.gain**2))


def camera_noise(a: np.ndarray, b: np.ndarray) -> CameraNoise:
    """Gain and read noise from two images (H, W) of one scene that lie on each other: their difference holds noise alone.

    A line through variance over mean of cells of 8x8 pixels, weighted by how well each variance is known (photon transfer).

    Raises
    ------
    ValueError
        If the variance does not grow with the light: no gain can be told.
    """
    mean = uniform_filter((a + b) / 2.0, _CELL)[_CELL // 2 :: _CELL, _CELL // 2 :: _CELL].ravel()
    difference = (a - b).astype(np.float64)
    variance = uniform_filter(difference**2, _CELL) - uniform_filter(difference, _CELL) ** 2
    variance = variance[_CELL // 2 :: _CELL, _CELL // 2 :: _CELL].ravel() / 2 * _CELL**2 / (_CELL**2 - 1)
    gain, read = _line(mean, variance)
    if not gain > 0:
        raise ValueError("the noise does not grow with the light, so that the camera's gain cannot be told from this pair")
    return CameraNoise(gain, max(read, 0.0))


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and value at 0; each point weighted by one over the square of the line's own value there."""
    weight = np.ones_like(x)
    slope, offset = 0.0, 0.0
    for _ in range(10):
        total = weight.sum()
        middle, level = (weight * x).sum() / total, (weight * y).sum() / total
        spread = (weight * (x - middle) ** 2).sum() / total
        if spread <= (1e-3 * np.abs(x).max()) ** 2:  # light is the same everywhere: all of it is taken as photon noise
            return (float(level / middle), 0.0) if middle > 0 else (0.0, float(level))
        slope = float((weight * (x - middle) * (y - level)).sum() / total / spread)
        offset = float(level - slope * middle)
        if offset < 0:  # a variance without light below zero: the line through the origin
            slope, offset = float((weight * x * y).sum() / (weight * x * x).sum()), 0.0
        fitted = slope * x + offset
        weight = 1 / np.maximum(fitted, 0.05 * max(level, 1e-30)) ** 2
    return slope, offset
