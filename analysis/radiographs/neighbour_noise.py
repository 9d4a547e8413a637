"""Whether the noise of neighbouring pixels is correlated, from radiographs one after the other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import uniform_filter

from analysis.imaging import neighbours
from analysis.imaging.neighbours import block_correlations, blocks

_LEVEL = 9  # pixels over which the mean of a radiograph is taken
_STATIC = 1.2  # times the variance of the quieter half of all blocks: what is above moves


def refusal_of_blind_spots(frames: np.ndarray, cure: str) -> str | None:
    """Why no denoiser may guess a pixel of radiographs (N, H, W) from those around it, in a sentence; None if one may.

    The differences of radiographs to the next are looked at, each brought to the same total before and divided by the root of
    the mean, in those blocks of 32x32 pixels where they vary the least: there nothing moves. NaN is left out.

    Parameters
    ----------
    frames : ndarray
        Best of a scene that stands still.
    cure : str
        What to do instead.

    Raises
    ------
    ValueError
        If there are fewer than 2 radiographs.
    """
    if len(frames) < 2:
        raise ValueError(
            "one radiograph alone does not tell whether the noise of neighbouring pixels is independent: take two or more, or "
            "flat fields in the same run"
        )
    found = [_of_two(first, second) for first, second in pairwise(frames)]
    variances, along_y, along_x = (np.concatenate(parts) for parts in zip(*found, strict=True))
    quiet = np.median(variances[variances <= np.median(variances)])
    static = variances <= _STATIC * quiet
    pixels = static.sum() * len(blocks(frames[0])[0])
    typical_y, typical_x = (float(np.median(along[static])) for along in (along_y, along_x))
    # differences that follow each other share a frame, and a median is known less well than a mean
    return neighbours.refusal_of_blind_spots(typical_y, typical_x, (3 / pixels) ** 0.5, cure)


def _of_two(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variance, and correlations along y and x, of the noise in each block."""
    known = np.isfinite(first) & np.isfinite(second)
    one, other = (np.where(known, image, 0.0).astype(np.float64) for image in (first, second))
    if not (one.sum() > 0 and other.sum() > 0):
        raise ValueError("some radiographs hold no light, so that their noise cannot be tested: leave them out")
    other *= one.sum() / other.sum()
    level = uniform_filter(one + other, _LEVEL)
    noise = np.where(known & (level > 0), other - one, 0.0) / np.sqrt(np.where(level > 0, level, 1.0))
    here, below, beside = noise[:-1, :-1], noise[1:, :-1], noise[:-1, 1:]
    return blocks(here).var(axis=1), block_correlations(here, below), block_correlations(here, beside)
