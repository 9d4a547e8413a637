"""Finite differences of images, their adjoint, and the inverse of their Laplacian plus a constant."""

from __future__ import annotations

import numpy as np
from scipy import fft


def gradient(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return forward differences along y and x of images (..., H, W); 0 at the last row and column."""
    along_y, along_x = np.zeros_like(images), np.zeros_like(images)
    np.subtract(images[..., 1:, :], images[..., :-1, :], out=along_y[..., :-1, :])
    np.subtract(images[..., :, 1:], images[..., :, :-1], out=along_x[..., :, :-1])
    return along_y, along_x


def gradient_adjoint(along_y: np.ndarray, along_x: np.ndarray) -> np.ndarray:
    """Return the adjoint of `gradient`, minus the divergence, (..., H, W)."""
    images = np.zeros_like(along_y)
    images[..., :-1, :] -= along_y[..., :-1, :]
    images[..., 1:, :] += along_y[..., :-1, :]
    images[..., :, :-1] -= along_x[..., :, :-1]
    images[..., :, 1:] += along_x[..., :, :-1]
    return images


def total_variation(images: np.ndarray) -> np.ndarray:
    """Return the isotropic total variation of images (..., H, W): the sum over pixels of |gradient|."""
    along_y, along_x = gradient(images)
    return np.sqrt(along_y**2 + along_x**2).sum(axis=(-2, -1))


class ScreenedPoisson:
    """The operator B = D'D + c, with D the `gradient`, and its inverse; diagonal in the cosine basis.

    Parameters
    ----------
    shape : (H, W)
    constant : float
        c, above 0.
    """

    def __init__(self, shape: tuple[int, int], constant: float) -> None:
        height, width = shape
        rows = 2 - 2 * np.cos(np.pi * np.arange(height) / height)
        columns = 2 - 2 * np.cos(np.pi * np.arange(width) / width)
        self._inverse = 1.0 / (rows[:, None] + columns[None, :] + constant)

    def solve(self, images: np.ndarray) -> np.ndarray:
        """Return B^-1 of images (..., H, W), in their type."""
        spectrum = fft.dctn(images, axes=(-2, -1), norm="ortho")
        spectrum *= self._inverse.astype(images.dtype)
        return fft.idctn(spectrum, axes=(-2, -1), norm="ortho", overwrite_x=True)
