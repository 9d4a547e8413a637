"""The group of each realization, for held-out buckets, jackknife spreads and independent halves."""

from __future__ import annotations

import numpy as np

BLOCK = 64
"""Realizations are processed in blocks of this many, in order, so that the bits of a result do not depend on how the data
were divided into batches.
"""

GROUPS = 8
"""Number of groups; the even groups form one half of the data, the odd ones the other."""


def block_groups(seed: int, block: int) -> np.ndarray:
    """Return the groups (BLOCK,) of the realizations of one block, balanced and shuffled.

    They are shuffled rather than assigned in turn because mask sets are ordered: every second Hadamard pattern is symmetric
    about an axis, so that half of the data would be blind to half of the image.
    """
    shuffled = np.random.default_rng((seed, block)).permutation(BLOCK)
    return shuffled % GROUPS


def groups_of(seed: int, count: int) -> np.ndarray:
    """Return the groups of the first `count` realizations, (count,)."""
    blocks = -(-count // BLOCK)
    if blocks == 0:
        return np.zeros(0, dtype=np.int64)
    return np.concatenate([block_groups(seed, block) for block in range(blocks)])[:count]


def jackknife_spread(without: np.ndarray) -> np.ndarray:
    """Return the standard error (...,) from delete-a-group estimates `without`, (groups, ...).

    The delete-a-group jackknife: var = (G - 1) / G * sum_g (x_(-g) - mean)^2; NaN for fewer than two groups.
    """
    number = len(without)
    if number < 2:
        return np.full(without.shape[1:], np.nan)
    # in double precision, because the squares of images in single precision may overflow
    deviations = np.subtract(without, without.mean(axis=0), dtype=np.float64)
    return np.sqrt((number - 1) / number * np.sum(deviations**2, axis=0))
