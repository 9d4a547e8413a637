"""Pixels that a network does not learn, so that they can test it."""

from __future__ import annotations

import numpy as np

_PART = 0.1  # of an image's blocks
_BLOCK = 16  # pixels


def held_out(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Blocks of 16x16 pixels that are kept for testing, bool (H, W): one in ten, two at least."""
    rows, columns = (-(-side // _BLOCK) for side in shape)
    number = max(2, round(_PART * rows * columns))
    chosen = np.zeros(rows * columns, dtype=bool)
    chosen[np.random.default_rng((seed, 1)).permutation(rows * columns)[:number]] = True
    blocks = chosen.reshape(rows, columns).repeat(_BLOCK, axis=0).repeat(_BLOCK, axis=1)
    return np.asarray(blocks[: shape[0], : shape[1]])
