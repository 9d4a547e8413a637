"""Single-pixel data taken with two-dimensional Haar masks, as mask set and buckets.

The coefficients lie in the usual nested layout: the block [:8, :8], or that of another coarsest scale, is the approximation; for
s = 8, 16, 32, ... the blocks [:s, s:2s], [s:2s, :s] and [s:2s, s:2s] are the details of scale s. The masks are orthonormal, and
all but those of the approximation hold both signs: such an experiment shows the positive and the negative part one after the
other and subtracts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

COARSEST = 8


def haar_masks(size: int, coarsest: int = COARSEST) -> np.ndarray:
    """The Haar mask of every coefficient, float32 (size * size, size, size); mask i belongs to coefficient divmod(i, size).

    Parameters
    ----------
    size : int
        Pixels along an axis: a power of two from 8.
    coarsest : int
        Pixels of the approximation along an axis, a power of two.

    Raises
    ------
    ValueError
        If it is no such size.
    """
    if size < COARSEST or size & (size - 1):
        raise ValueError(f"Haar masks need a power of two from {COARSEST} pixels along each axis, not {size}")
    scales = [coarsest << power for power in range((size // coarsest).bit_length())]
    return nested_masks({scale: (_functions(size, scale, sign=False), _functions(size, scale, sign=True)) for scale in scales})


def nested_masks(functions: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The mask of every coefficient of a nested layout, float32 (size * size, size, size).

    Parameters
    ----------
    functions : mapping
        Mean and detail functions, (scale, size) each, of every scale from the coarsest.
    """
    scale = min(functions)
    mean, _ = functions[scale]
    size = mean.shape[1]
    masks = np.zeros((size, size, size, size), dtype=np.float32)
    masks[:scale, :scale] = _products(mean, mean)
    while scale < size:
        mean, detail = functions[scale]
        fine = slice(scale, 2 * scale)
        masks[fine, :scale] = _products(detail, mean)
        masks[:scale, fine] = _products(mean, detail)
        masks[fine, fine] = _products(detail, detail)
        scale *= 2
    return masks.reshape(size * size, size, size)


def coarse_to_fine(size: int, coarsest: int = COARSEST, seed: int = 0) -> np.ndarray:
    """An order of the masks that suits a compressed acquisition: scale by scale, at random within each; int64 (size * size,)."""
    row, column = np.divmod(np.arange(size * size), size)
    scale = np.floor(np.log2(np.maximum(np.maximum(row, column), coarsest - 1)))
    return np.lexsort((np.random.default_rng(seed).random(size * size), scale))


def _functions(size: int, scale: int, *, sign: bool) -> np.ndarray:
    """The `scale` one-dimensional Haar functions of unit norm, (scale, size): boxes, or with a sign minus then plus."""
    width = size // scale
    shape = np.ones(width)
    if sign:
        shape[: width // 2] = -1
    return np.kron(np.eye(scale), shape / np.sqrt(width))


def _products(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.einsum("iy,jx->ijyx", y, x)
