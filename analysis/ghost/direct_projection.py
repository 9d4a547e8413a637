"""The projection of the total-variation solver by a dense M x M system, for problems of moderate size."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import linalg

from analysis.imaging.gradient import ScreenedPoisson

from .projection import DATA_PENALTY, PLAIN_PENALTY


class MaskKernel:
    """Masks C = W - 1 w0' with the matrices that the solver needs, extended block by block.

    w0, the mean of the masks in the first block, removes the level that all masks share. The remaining eigenvalues are of
    similar size, so that single precision is sufficient.

    Parameters
    ----------
    shape : (H, W)
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.screen = ScreenedPoisson(shape, PLAIN_PENALTY)
        pixels = shape[0] * shape[1]
        self.shared = np.zeros(pixels, dtype=np.float32)
        self.shared_smooth = np.zeros(pixels, dtype=np.float32)
        self._masks = np.empty((0, pixels), dtype=np.float32)
        self._smooth = np.empty((0, pixels), dtype=np.float32)
        self._kernel = np.empty((0, 0), dtype=np.float32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, masks: np.ndarray) -> None:
        """Add masks, float32 (B, N)."""
        start, end = self._count, self._count + len(masks)
        if start == 0:
            self.shared = masks.mean(axis=0, dtype=np.float64).astype(np.float32)
            self.shared_smooth = self._smoothed(self.shared[None])[0]
        if end > len(self._masks):
            room = max(end, 2 * len(self._masks))
            self._masks, self._smooth = (_grown(rows, (room, rows.shape[1])) for rows in (self._masks, self._smooth))
            self._kernel = _grown(self._kernel, (room, room))
        self._masks[start:end] = masks - self.shared
        self._smooth[start:end] = self._smoothed(self._masks[start:end])
        cross = self._smooth[start:end] @ self._masks[:end].T
        self._kernel[start:end, :end] = cross
        self._kernel[:end, start:end] = cross.T
        self._count = end

    def truncate(self, count: int) -> None:
        """Remove all masks after the first `count`."""
        self._count = min(self._count, count)

    def _smoothed(self, masks: np.ndarray) -> np.ndarray:
        return self.screen.solve(masks.reshape(-1, *self.shape)).reshape(masks.shape)

    @property
    def masks(self) -> np.ndarray:
        """C, float32 (M, N); a view."""
        return self._masks[: self._count]

    @property
    def smooth(self) -> np.ndarray:
        """C B^-1 with B = D'D + c, float32 (M, N); a view."""
        return self._smooth[: self._count]

    @property
    def kernel(self) -> np.ndarray:
        """C B^-1 C', float32 (M, M); a view."""
        return self._kernel[: self._count, : self._count]

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return W x, (S, M), for images (S, H, W)."""
        flat = images.reshape(len(images), -1)
        return flat @ self.masks.T + (flat @ self.shared)[:, None]


class DirectProjection:
    """The x nearest to given copies of x, D x and C x / scale, by the matrix inversion lemma on the masks' side.

    Parameters
    ----------
    kernel : MaskKernel
    scale : float
        Divisor of the masks.
    """

    drops_columns: ClassVar[bool] = False

    def __init__(self, kernel: MaskKernel, scale: float) -> None:
        self.shape, self.screen = kernel.shape, kernel.screen
        self._kernel, self._scale = kernel, np.float32(scale)
        self.gain = np.float32(np.linalg.norm(kernel.shared.astype(np.float64)) / scale)
        shared = kernel.shared / (self.gain * self._scale) if self.gain > 0 else kernel.shared
        smooth = kernel.shared_smooth / (self.gain * self._scale) if self.gain > 0 else kernel.shared_smooth
        self._shared, self._shared_smooth = shared, smooth
        count = len(kernel)
        system = np.empty((count + 1, count + 1), dtype=np.float32, order="F")
        system[:count, :count] = kernel.kernel / self._scale**2
        system[count, :count] = kernel.masks @ smooth / self._scale
        system[count, count] = shared @ smooth
        system[np.diag_indices(count + 1)] += np.float32(1 / DATA_PENALTY)
        factor, _ = linalg.lapack.spotrf(system, lower=1, overwrite_a=1)
        inverse, _ = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
        self._inverse = np.tril(inverse) + np.tril(inverse, -1).T
        self._masks, self._smooth = kernel.masks / self._scale, kernel.smooth / self._scale

    def __len__(self) -> int:
        return len(self._kernel)

    def begin(self, images: np.ndarray) -> None:
        """Prepare for projections; see `Projection`."""
        return None

    def onto(self, t: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the x nearest to all copies, and C x / scale; see `Projection`."""
        flat = t.reshape(len(t), -1)
        missing = wanted - np.column_stack([flat @ self._masks.T, flat @ self._shared])
        e = missing @ self._inverse
        x = flat + e[:, :-1] @ self._smooth + e[:, -1:] * self._shared_smooth
        return x.reshape(t.shape), wanted - e / np.float32(DATA_PENALTY)

    def rows(self, images: np.ndarray) -> np.ndarray:
        """Return C x / scale, (S, M + 1); see `Projection`."""
        flat = images.reshape(len(images), -1)
        return np.column_stack([flat @ self._masks.T, flat @ self._shared])


def _grown(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    larger = np.empty(shape, dtype=array.dtype)
    larger[: array.shape[0], : array.shape[1]] = array
    return larger
