"""Whether the masks moved during a scan, determined from the buckets alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_FEWEST = 100  # realizations
_CERTAIN = 5.0  # standard errors


@dataclass(frozen=True)
class MaskDrift:
    """Movement of the masks relative to the sample from the first realization to the last.

    Attributes
    ----------
    pixels : float
        In mask pixels; NaN if there are too few realizations or the image has no structure.
    at_least : float
        The same minus five standard errors, at least 0: the part that is certain.
    """

    pixels: float = float("nan")
    at_least: float = float("nan")


def mask_drift(missed: np.ndarray, predicted: np.ndarray, slopes: np.ndarray, row: np.ndarray) -> MaskDrift:
    """Find a movement that grows steadily through the scan.

    A mask w that has moved by d sees W x(u + d), so its bucket differs by d . W grad x from the predicted one. The prediction
    errors are fitted by this term with d proportional to the number of the realization. A constant displacement only moves
    the image; it is a free parameter of the fit, and so are the level and scale of the predictions, which may drift too.

    Parameters
    ----------
    missed, predicted : ndarray, (M,)
        Bucket minus prediction, and the prediction, in order of the realizations; from images to which the bucket did not
        contribute.
    slopes : ndarray, (2, M)
        W grad x of the same images, along y and x, per pixel.
    row : ndarray, (M,)
        Weight of each squared residual.
    """
    time = np.linspace(-0.5, 0.5, len(missed))
    explaining = [predicted - predicted.mean(), *(one - one.mean() for one in slopes)]
    columns = np.stack([*(time * one for one in explaining[1:]), *explaining, time * explaining[0], time, np.ones_like(time)])
    sizes = np.sqrt((columns**2 * row).mean(axis=1))
    if len(missed) < _FEWEST or not (sizes > 0).all():
        return MaskDrift()
    columns /= sizes[:, None]
    normal = (columns * row) @ columns.T
    if np.linalg.cond(normal) > 1e10:
        return MaskDrift()
    inverse = np.linalg.inv(normal)
    found = inverse @ ((columns * row) @ missed)
    noise = float(row @ (missed - found @ columns) ** 2) / (len(missed) - len(columns))
    scale = 1 + found[2] / sizes[2]  # regularised images and their slopes have too little contrast
    moved, errors = (values[:2] / sizes[:2] / scale for values in (found, np.sqrt(noise * np.diag(inverse))))
    if not scale > 0.5:
        return MaskDrift()
    length = float(np.hypot(*moved))
    error = float(np.hypot(*(moved * errors))) / max(length, 1e-30)
    return MaskDrift(length, max(0.0, length - _CERTAIN * error))
