"""The error to expect of each pixel: what varies between images from parts of the data, and what all of them lack."""

from __future__ import annotations

import numpy as np

_LACKING = 0.16
"""Part of the mean squared error with which left-out buckets are predicted that counts as the image's; the rest is the buckets'
own noise. The noise isn't known by itself: the true part was 0.05 to 0.8 on the objects it was fitted to."""


def standard_error(scatter: np.ndarray, factor: float, unexplained: float, contrast: float) -> np.ndarray:
    """Return sqrt((factor scatter)^2 + 0.16 unexplained contrast^2), (H, W), in the image's unit.

    The scatter alone misses the bias: at high noise a regularised image is flat whatever the realizations, and has no
    scatter at all, while the object still has its contrast. The constants are such that 90 % of true errors are within 1.645
    standard errors, on programmed rods, boxes, blobs, strokes, grids and random textures of 32 x 32 pixels with 1 to 10^4
    photons, 3 and 10 times fewer realizations than pixels.

    Parameters
    ----------
    scatter : array, (H, W)
        Standard deviation that images from parts of the data show; NaN where there are too few to tell.
    factor : float
        How much more the error varies than they do.
    unexplained : float
        Part of the buckets' variance about the mean level that images from other realizations don't predict; above 1, nothing
        is predicted.
    contrast : float
        Standard deviation over the pixels that an object would have which made the buckets vary as much, without noise.
    """
    return np.sqrt((factor * scatter) ** 2 + _LACKING * min(unexplained, 1.0) * contrast**2)
