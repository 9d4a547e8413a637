"""Where the axis of rotation lies on the detector."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from analysis.imaging.projector import ParallelBeam
from analysis.tomography.sirt import Sirt

_BINS = 160  # that a detector row is binned to
_VIEWS = 60  # that are looked at
_ITERATIONS = 30
_PAIRS = 3  # of views from opposite sides
_AROUND = 4.0  # binned bins on each side of the first guess


def centre_of_rotation(sinogram: np.ndarray, angles_deg: np.ndarray) -> float:
    """The bin, counted from the middle of the first, about which a slice explains its views best.

    The first guess lays views from opposite sides, or nearly so, on each other. Then the axis is moved until as little as
    possible of the binned sinogram is left unexplained after some iterations of SIRT: no slice has views with a wrong axis.

    Parameters
    ----------
    sinogram : ndarray, (views, bins)
        Line integrals of one slice.
    angles_deg : ndarray, (views,)

    Raises
    ------
    ValueError
        If there are fewer than 3 views, or nothing is in them.
    """
    views, bins = sinogram.shape
    if views < 3 or not np.ptp(sinogram) > 0:
        raise ValueError("the centre of rotation is not found without a sample in 3 views or more: give it as the option centre")
    factor = max(1, bins // _BINS)
    binned = sinogram[:, : bins // factor * factor].reshape(views, -1, factor).mean(axis=2)
    some = slice(None, None, -(-views // _VIEWS))
    known = np.ones((1, *binned[some].shape), dtype=bool)

    def unexplained(centre: float) -> float:
        size = binned.shape[1]
        sirt = Sirt(ParallelBeam(size, angles_deg[some], size, centre), binned[None, some], known)
        sirt.iterate(_ITERATIONS)
        return sirt.residual()

    guess = _guess(binned, angles_deg)
    found = minimize_scalar(
        unexplained, bounds=(guess - _AROUND, guess + _AROUND), method="bounded", options={"xatol": 0.02, "maxiter": 12}
    )
    return float(found.x) * factor + (factor - 1) / 2


def _guess(sinogram: np.ndarray, angles_deg: np.ndarray) -> float:
    """Lay the views that are most nearly opposite on each other."""
    bins = sinogram.shape[1]
    apart = np.abs((angles_deg[:, None] - angles_deg[None, :]) % 360 - 180)
    first, second = np.unravel_index(np.argsort(apart, axis=None, kind="stable")[: 2 * _PAIRS : 2], apart.shape)
    places = np.arange(bins)
    centres = np.arange(bins / 4, 3 * bins / 4, 0.5)
    scores = np.zeros(len(centres))
    for index, centre in enumerate(centres):
        mirrored = 2 * centre - places
        seen = (mirrored >= 0) & (mirrored <= bins - 1)
        for one, other in zip(first, second, strict=True):
            difference = sinogram[one, seen] - np.interp(mirrored[seen], places, sinogram[other])
            scores[index] += np.mean(difference**2)
    return float(centres[int(np.argmin(scores))])
