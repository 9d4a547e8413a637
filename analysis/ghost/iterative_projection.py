"""The projection of the total-variation solver by products with the masks, for large problems."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from analysis.imaging.gradient import ScreenedPoisson, gradient, gradient_adjoint

from .masks import Masks
from .projection import DATA_PENALTY, PLAIN_PENALTY


class IterativeProjection:
    """The x nearest to given copies of x, D x and C x / scale, approached by one step per call from the previous x.

    C = W - 1 w0' with w0 the mean of all masks. A step follows the gradient preconditioned by B^-1, which gives random masks
    eigenvalues within a factor of about 3. The copies change little from one iteration to the next, so x follows closely, and
    it is exact when the copies are constant.

    Parameters
    ----------
    masks : Masks
    shape : (H, W)
    scale : float
        Divisor of the masks.
    """

    drops_columns: ClassVar[bool] = True

    def __init__(self, masks: Masks, shape: tuple[int, int], scale: float) -> None:
        self.shape, self.screen = shape, ScreenedPoisson(shape, PLAIN_PENALTY)
        self._matrix, self._scale = masks, scale
        self._mean = masks.total / len(masks)
        norm = float(np.linalg.norm(self._mean))
        self.gain = np.float32(norm / scale)
        self._shared = self._mean / norm if norm > 0 else self._mean
        self._x, self._rows = np.empty(0), np.empty(0)

    def __len__(self) -> int:
        return len(self._matrix)

    def begin(self, images: np.ndarray) -> None:
        """Prepare for projections; see `Projection`."""
        self._x, self._rows = images.astype(np.float64), self.rows(images)

    def onto(self, t: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return an x nearer to all copies than the previous one, and C x / scale; see `Projection`."""
        off = t - self._x
        downhill = gradient_adjoint(*gradient(off)) + PLAIN_PENALTY * off
        downhill += DATA_PENALTY * self._back(wanted - self._rows)
        step = self.screen.solve(downhill)
        change = self.rows(step)
        gained = (step * downhill).sum(axis=(1, 2))
        curvature = gained + DATA_PENALTY * (change**2).sum(axis=1)
        length = np.divide(gained, curvature, out=np.zeros_like(gained), where=curvature > 0)
        self._x += length[:, None, None] * step
        self._rows += length[:, None] * change
        return self._x.astype(np.float32), self._rows.astype(np.float32)

    def rows(self, images: np.ndarray) -> np.ndarray:
        """Return C x / scale, (S, M + 1); see `Projection`."""
        flat = images.reshape(len(images), -1)
        along = flat @ self._mean
        return np.column_stack([(self._matrix.forward(flat) - along[:, None]) / self._scale, flat @ self._shared])

    def _back(self, rows: np.ndarray) -> np.ndarray:
        """Return the adjoint of `rows`, (S, H, W), applied to (S, M + 1)."""
        own, shared = rows[:, :-1], rows[:, -1:]
        flat = (self._matrix.adjoint(own) - own.sum(axis=1, keepdims=True) * self._mean) / self._scale + shared * self._shared
        return flat.reshape(-1, *self.shape)
