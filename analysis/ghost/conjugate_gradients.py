"""Least-squares images from many realizations, using only products with the masks."""

from __future__ import annotations

import numpy as np

from .masks import MaskRows, Masks

_TOLERANCE = 1e-5
"""Tolerance of the residual of the normal equations, relative to that of the level alone; single precision limits it."""

_MOST = 200
"""Maximum number of iterations: random masks need about 20 unless their number is close to that of the pixels."""

_SMALLEST = 1e-300


def least_squares_images(
    masks: Masks | MaskRows,
    buckets: np.ndarray,
    rows: np.ndarray,
    ridge: float,
    *,
    start: np.ndarray | None = None,
    iterations: int = _MOST,
) -> np.ndarray:
    """Return argmin_x sum_m o_m ((W x)_m - y_m)^2 + ridge |x|^2 for several choices of o at once, float64 (S, N).

    Conjugate gradients for (W'OW + ridge) x = W'Oy from an image on the masks' mean, so that without a ridge the limit is the
    solution of least norm. All masks share their mean, which makes one eigenvalue larger than all others by the number of
    masks; the preconditioner removes it. If there are about as many random masks as pixels, noise dominates the exact
    solution; the iteration ends before it gets there.

    Parameters
    ----------
    masks : Masks or MaskRows
        W, (M, N).
    buckets : array, (M,)
    rows : array, (S, M)
        o, the weight of each realization; 0 leaves it out.
    ridge : float
    start : array, (S, N), optional
        Images to start from.
    iterations : int
        Maximum number of iterations.
    """
    weight = np.maximum(rows.sum(axis=1, keepdims=True), _SMALLEST)
    mean = masks.adjoint(rows) / weight
    power = (mean**2).sum(axis=1, keepdims=True)
    # the part of the eigenvalues that remains after removing the mean
    variance = np.maximum(rows @ masks.squares[:, None] / weight - power, 1e-12 * power) / masks.pixels
    rest = np.maximum(variance * np.maximum(rows.sum(axis=1, keepdims=True), masks.pixels), _SMALLEST) + ridge

    def preconditioned(images: np.ndarray) -> np.ndarray:
        along = (mean * images).sum(axis=1, keepdims=True)
        return (images - mean * (weight * along / (rest + weight * power))) / rest

    def on_level(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return images with a multiple of the mean added such that their residuals have zero mean, and the residuals."""
        seen, residual = masks.forward(mean), buckets - masks.forward(images)
        over = (rows * seen).sum(axis=1, keepdims=True)
        step = np.divide((rows * residual).sum(axis=1, keepdims=True), over, out=np.zeros_like(over), where=over != 0)
        return images + step * mean, residual - step * seen

    images, residual = on_level(np.zeros_like(mean) if start is None else start)
    gradient = masks.adjoint(rows * residual) - ridge * images
    stepped = preconditioned(gradient)
    direction = stepped.copy()
    size = (gradient * stepped).sum(axis=1, keepdims=True)
    least = _TOLERANCE**2 * size
    for _ in range(iterations):
        # converged images are kept: in further steps rounding errors would grow in directions that no mask measures
        going = np.flatnonzero(size > least)
        if len(going) == 0:
            break
        curved = masks.adjoint(rows[going] * masks.forward(direction[going])) + ridge * direction[going]
        curvature = (direction[going] * curved).sum(axis=1, keepdims=True)
        length = np.divide(size[going], curvature, out=np.zeros_like(curvature), where=curvature > 0)
        images[going] += length * direction[going]
        gradient[going] -= length * curved
        stepped = preconditioned(gradient)
        before, size = size, (gradient * stepped).sum(axis=1, keepdims=True)
        direction[going] = stepped[going] + (size / np.maximum(before, _SMALLEST))[going] * direction[going]
    return images
