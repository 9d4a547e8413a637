"""The expected error of each pixel: the variation between images from parts of the data, and the error that all share."""

from __future__ import annotations

import numpy as np

_LACKING = 0.16
"""Fraction of the mean squared error of predicted left-out buckets that counts as the image's; the rest is the buckets' own
noise. The noise is not known separately: the true fraction was 0.05 to 0.8 on the objects to which it was fitted.
"""


def standard_error(scatter: np.ndarray, factor: float, unexplained: float, contrast: float) -> np.ndarray:
    """Return sqrt((factor scatter)^2 + 0.16 unexplained contrast^2), (H, W), in the image's unit.

    The scatter alone misses the bias: at high noise a regularised image is flat whatever the realizations, and has no
    scatter, although the object still has its contrast. The constants are such that 90 % of true errors are within 1.645
    standard errors, on programmed rods, boxes, blobs, strokes, grids and random textures of 32 x 32 pixels with 1 to 10^4
    photons, 3 and 10 times fewer realizations than pixels.

    Parameters
    ----------
    scatter : array, (H, W)
        Standard deviation between images from parts of the data; NaN if there are too few to tell.
    factor : float
        Ratio of the variation of the error to theirs.
    unexplained : float
        Fraction of the buckets' variance about the mean level that images from other realizations do not predict; above 1,
        nothing is predicted.
    contrast : float
        Standard deviation over the pixels of an object that, without noise, would make the buckets vary as much.
    """
    return np.sqrt((factor * scatter) ** 2 + _LACKING * min(unexplained, 1.0) * contrast**2)
