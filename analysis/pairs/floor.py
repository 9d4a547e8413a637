"""The smallest loss that an image without noise can have: what is below has learned the noise."""

from __future__ import annotations

import numpy as np


def pearson_loss(x: np.ndarray, y: np.ndarray, where: np.ndarray | None = None) -> float:
    """One minus the correlation of two images (H, W), perhaps of some of their pixels; eq. 4 of Yang and others (2023)."""
    first, second = (image.astype(np.float64)[where] if where is not None else image.astype(np.float64) for image in (x, y))
    first, second = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return 1 - float((first * second).sum()) / spread if spread > 0 else float("nan")


def loss_floor(a: np.ndarray, b: np.ndarray, where: np.ndarray | None = None) -> float:
    """The loss of the scene itself: 1 - sqrt(corr(a, b)), where the noise of both images (H, W) is alike and independent.

    corr(a, b) = S / (S + N) with the variances S of the scene and N of the noise, and corr(scene, b) is the root of it.
    """
    return 1 - float(np.sqrt(max(0.0, 1 - pearson_loss(a, b, where))))
