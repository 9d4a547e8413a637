"""Fast linear images of many sets of buckets with the same masks, at a cost linear in realizations times pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_RIDGE = 0.05
"""Relative to the mean eigenvalue of the masks' kernel: with as many realizations as pixels, plain least squares is dominated
by noise.
"""

_ITERATIONS = 12
_SMALL = 1e-4
"""With that ridge the gradient of independent masks falls to a hundredth or less in this many iterations; orthogonal masks
need one or two, after which it is below this fraction of the first.
"""


@dataclass(frozen=True, eq=False)
class LinearImages:
    """Linear images from masks and buckets, for each of S sets of buckets.

    Attributes
    ----------
    level : float64 array, (S,)
        Mean of the object as determined by the sums of the masks.
    matched : float32 array, (S, N)
        Deviation from the level: buckets correlated with masks, in units such that orthogonal masks give `solved`.
    solved : float32 array, (S, N)
        Deviation from the level: the least-squares image with a ridge.
    unit : float64 array, (S,)
        Standard deviation of `solved` over pixels; 0 if the realizations determine at most a level.
    """

    level: np.ndarray
    matched: np.ndarray
    solved: np.ndarray
    unit: np.ndarray


def linear_images(masks: np.ndarray, buckets: np.ndarray, rows: np.ndarray) -> LinearImages:
    """Return the linear images of masks (M, N), float32, with buckets (S, M) and row weights (S, M), float64.

    Minimises sum_m o_m (y_m - level s_m - (W d)_m)^2 + ridge |d|^2, with s the masks' sums, by conjugate gradients (CGLS).
    The part proportional to s is removed from the equations first: it determines the level, and is so much larger than the
    part that determines the image that single precision and few iterations would not suffice.
    """
    pixels = masks.shape[1]
    root = np.sqrt(rows)
    shared = root * masks.sum(axis=1, dtype=np.float64)
    power = np.einsum("sm,sm->s", shared, shared)
    level = np.divide(np.einsum("sm,sm->s", shared, root * buckets), power, out=np.zeros(len(power)), where=power > 0)
    shared /= np.sqrt(np.where(power > 0, power, 1.0))[:, None]
    residual = _without(root * buckets, shared)

    variance = float(masks.var(axis=0, dtype=np.float64).mean())
    mean_square = float(np.einsum("mn,mn->", masks, masks, dtype=np.float64)) / masks.size
    size = np.sqrt(np.mean(residual**2, axis=1))
    # the rounding error of masks or buckets that are determined by a level is not an image
    told = (size > 1e-9 * np.sqrt(np.mean(rows * buckets**2, axis=1))) & (variance > 1e-12 * mean_square)
    if not told.any():
        nothing = np.zeros((len(level), pixels), dtype=np.float32)
        return LinearImages(level, nothing, nothing.copy(), np.zeros(len(level)))
    scale = np.sqrt(variance * pixels)
    unit = np.where(told, size / scale, 1.0)
    residual = np.where(told[:, None], residual / (scale * unit[:, None]), 0.0).astype(np.float32)
    matched, solved = _solved(masks, residual, (root / scale).astype(np.float32), shared.astype(np.float32))
    matched, solved = ((unit[:, None] * image).astype(np.float32) for image in (matched, solved))
    return LinearImages(level, matched, solved, np.where(told, solved.std(axis=1, dtype=np.float64), 0.0))


def _solved(masks: np.ndarray, residual: np.ndarray, root: np.ndarray, shared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first gradient and the solution, (S, N), of CGLS for residuals (S, M) in units of order 1."""

    def adjoint(values: np.ndarray) -> np.ndarray:
        return (root * _without(values, shared)) @ masks

    matched = gradient = adjoint(residual)
    direction, solved = gradient, np.zeros_like(gradient)
    first = norm = _squares(gradient)
    for _ in range(_ITERATIONS):
        image_of = _without(root * (direction @ masks.T), shared)
        curvature = _squares(image_of) + _RIDGE * _squares(direction)
        step = np.divide(norm, curvature, out=np.zeros_like(norm), where=curvature > 0)
        solved = solved + step * direction
        residual = residual - step * image_of
        gradient = adjoint(residual) - np.float32(_RIDGE) * solved
        previous, norm = norm, _squares(gradient)
        if (norm <= _SMALL**2 * first).all():
            break
        direction = gradient + np.divide(norm, previous, out=np.zeros_like(norm), where=previous > 0) * direction
    return matched, solved


def _squares(values: np.ndarray) -> np.ndarray:
    return np.einsum("sn,sn->s", values, values)[:, None]


def _without(values: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return values (S, M) without their parts along unit vectors (S, M), or zeros."""
    return values - np.einsum("sm,sm->s", values, direction)[:, None] * direction
