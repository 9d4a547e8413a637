"""Where a step scan goes, as arrays. Pure: the same arguments give the same places."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from bluesky.plan_patterns import spiral_fermat

Pattern = Literal["spiral", "jittered_grid"]
PATTERNS: tuple[str, ...] = get_args(Pattern)
Range = tuple[float, float]


def scan_places(pattern: Pattern, y_um: Range, x_um: Range, step_um: float, seed: int) -> np.ndarray:
    """Return the places of a pattern in the order in which they are visited.

    Parameters
    ----------
    pattern : {"spiral", "jittered_grid"}
    y_um, x_um : pair of float
        The range that is scanned.
    step_um : float
        A place stands for the square of it.
    seed : int
        Of the jitter.

    Returns
    -------
    array, shape (N, 2), float64
        y and x in um.
    """
    low = np.array([min(y_um), min(x_um)])
    high = np.array([max(y_um), max(x_um)])
    return _spiral(low, high, step_um) if pattern == "spiral" else _jittered_grid(low, high, step_um, seed)


def _spiral(low: np.ndarray, high: np.ndarray, step_um: float) -> np.ndarray:
    """A Fermat spiral from the middle outwards.

    It has no period that could show in the object (Huang et al., Optics Express 22, 12634, 2014).
    """
    (y, x), (height, width) = (low + high) / 2, high - low
    # The n-th place is sqrt(n) dr from the middle, so that each has an area of pi dr^2.
    try:
        others = list(spiral_fermat("x", "y", x, y, width, height, step_um / np.sqrt(np.pi), 1.0))
    except StopIteration:  # of cycler, where none but the middle lies within the range
        others = []
    return np.array([[y, x], *([place["y"], place["x"]] for place in others)])


def _jittered_grid(low: np.ndarray, high: np.ndarray, step_um: float, seed: int) -> np.ndarray:
    """A snake over a grid whose places are each displaced at random by up to a third of a step, within the range."""
    numbers = np.floor((high - low) / step_um * (1 + 1e-9)).astype(int) + 1
    rest = (high - low - (numbers - 1) * step_um) / 2
    y, x = (np.linspace(low[axis] + rest[axis], high[axis] - rest[axis], numbers[axis]) for axis in (0, 1))
    lines = [np.stack([np.full(len(x), place), x if line % 2 == 0 else x[::-1]], axis=1) for line, place in enumerate(y)]
    places = np.concatenate(lines)
    jitter = np.random.default_rng(seed).uniform(-step_um / 3, step_um / 3, places.shape)
    return np.clip(places + jitter, low, high)
