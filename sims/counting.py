"""The response of a photon-counting detector: the limit of its count rate, and dead and hot pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_MOST = np.iinfo(np.uint16).max
_HOT_HZ = 1e5  # count rate of a hot pixel


def limited_counts(photons: np.ndarray, exposure_s: float, dead_time_s: float) -> np.ndarray:
    """Return how many of a pixel's photons are counted.

    After each count a pixel is blind for the dead time, so that m = n / (1 + n dead time / exposure), which never exceeds one
    count per dead time (the nonparalyzable model: Knoll, Radiation Detection and Measurement, section 4.7).

    Parameters
    ----------
    photons : array, int
        Photons that arrive during the exposure.
    exposure_s, dead_time_s : float

    Returns
    -------
    array, int64
        Rounded.
    """
    return np.rint(photons / (1.0 + photons * (dead_time_s / exposure_s))).astype(np.int64)


@dataclass(frozen=True)
class Counting:
    """A detector that counts photons.

    Parameters
    ----------
    dead_time_s : float
        Time for which a pixel is blind after each count. The default corresponds to a maximum of 45 million counts per second
        and pixel (Erin et al., J. Phys. Conf. Ser. 3010, 012172, 2025, section 2.2).
    dead_pixels, hot_pixels : int
        Number of pixels that count nothing, and of those that count 1e5 per second without light. The seed chooses them.
    """

    dead_time_s: float = 1 / 45e6
    dead_pixels: int = 0
    hot_pixels: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.dead_time_s < 1:
            raise ValueError(f"the dead time of a pixel must be 0 s or more and below 1 s, not {self.dead_time_s!r}")
        for name, value in (("dead", self.dead_pixels), ("hot", self.hot_pixels)):
            if not value >= 0:
                raise ValueError(f"the number of {name} pixels must be 0 or more, not {value!r}")

    def odd_pixels(self, shape: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the flat indices of the dead and of the hot pixels in a frame of this shape, each int64."""
        size = shape[0] * shape[1]
        if self.dead_pixels + self.hot_pixels > size:
            raise ValueError(f"there cannot be {self.dead_pixels} dead and {self.hot_pixels} hot pixels among {size}")
        chosen = np.random.default_rng((seed, 7)).choice(size, self.dead_pixels + self.hot_pixels, replace=False)
        return chosen[: self.dead_pixels], chosen[self.dead_pixels :]


class CountedFrames:
    """Converts photons into frames.

    Parameters
    ----------
    counting : Counting
    shape : pair of int
        Rows and columns of a frame.
    seed : int
    """

    def __init__(self, counting: Counting, shape: tuple[int, int], seed: int):
        self._dead_time_s = counting.dead_time_s
        self._dead, self._hot = counting.odd_pixels(shape, seed)

    def frame(self, photons: np.ndarray, exposure_s: float, rng: np.random.Generator) -> np.ndarray:
        """Return the counts of a frame, shape (H W,), uint16, from the photons in each pixel, int; counts saturate at 65535."""
        if len(self._hot):
            photons[self._hot] += rng.poisson(_HOT_HZ * exposure_s, len(self._hot))
        photons[self._dead] = 0
        if self._dead_time_s * int(photons.max()) ** 2 >= exposure_s / 2:  # otherwise no count is lost after rounding
            photons = limited_counts(photons, exposure_s, self._dead_time_s)
        return np.minimum(photons, _MOST).astype(np.uint16)
