"""Whether the noise of neighbouring pixels is correlated, from radiographs one after the other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from analysis.imaging import neighbours
from analysis.imaging.neighbours import block_correlations, blocks
from analysis.radiographs.static_parts import change, static_blocks


def refusal_of_blind_spots(frames: np.ndarray, cure: str) -> str | None:
    """Why no denoiser may guess a pixel of radiographs (N, H, W) from those around it, in a sentence; None if one may.

    The differences of radiographs to the next are looked at, each brought to the same total before and divided by the root of
    the mean. Across the direction of the neighbours, second differences leave little of a scene that moves, and do not change
    the correlation along it. Of blocks of 32x32 pixels, those that vary the least are used. NaN is left out.

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
    noises = [_noise(first, second) for first, second in pairwise(frames)]
    along_y, along_x = (_typical([axes(noise) for noise in noises]) for axes in (np.asarray, np.transpose))
    # differences that follow each other share a frame, and a median is known less well than a mean
    return neighbours.refusal_of_blind_spots(along_y, along_x, (6 / sum(noise.size for noise in noises)) ** 0.5, cure)


def _noise(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """What changes from one radiograph to the next."""
    known = np.isfinite(first) & np.isfinite(second)
    if not all(image[known].sum(dtype=np.float64) > 0 for image in (first, second)):
        raise ValueError("some radiographs hold no light, so that their noise cannot be tested: leave them out")
    return change(first, second)


def _typical(noises: list[np.ndarray]) -> float:
    """Correlation of pixels one above the other: the median over blocks where nothing moves."""
    details = [np.diff(noise, 2, axis=1) for noise in noises]
    variances = np.concatenate([blocks(one[:-1]).var(axis=1) for one in details])
    correlations = np.concatenate([block_correlations(one[:-1], one[1:]) for one in details])
    return float(np.median(correlations[static_blocks(variances)]))
