"""The forward model of ghost imaging, y = W x."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .inputs import rows_at_once


class MaskOperator:
    """The linear map from an image to the buckets behind each mask, W (M, N).

    Parameters
    ----------
    masks : array, (M, H, W)
        Transmission of each mask; kept in the given type, and not copied.

    Notes
    -----
    Products are summed in float64, block by block. The operator passes ``<W x, y> = <x, W' y>``.
    """

    def __init__(self, masks: np.ndarray) -> None:
        masks = np.asarray(masks)
        if masks.ndim != 3:
            raise ValueError(f"masks must have the shape (realizations, height, width), not {masks.shape}")
        self.image_shape = masks.shape[1:]
        self.matrix = masks.reshape(len(masks), -1)

    def __len__(self) -> int:
        return len(self.matrix)

    def forward(self, image: np.ndarray) -> np.ndarray:
        """Return the buckets (M,) of an image (H, W): y_m = sum_n w_mn x_n."""
        if image.shape != self.image_shape:
            raise ValueError(f"the image must have the masks' shape {self.image_shape}, not {image.shape}")
        flat = image.reshape(-1).astype(np.float64)
        return np.concatenate([np.zeros(0), *(self.matrix[part].astype(np.float64, copy=False) @ flat for part in self._parts())])

    def adjoint(self, buckets: np.ndarray) -> np.ndarray:
        """Return the back-projection (H, W) of buckets (M,): x_n = sum_m w_mn y_m."""
        if buckets.shape != (len(self),):
            raise ValueError(f"{len(self)} buckets are needed, one a mask, not the shape {buckets.shape}")
        flat = np.zeros(self.matrix.shape[1])
        for part in self._parts():
            flat += buckets[part].astype(np.float64) @ self.matrix[part].astype(np.float64, copy=False)
        return flat.reshape(self.image_shape)

    def _parts(self) -> Iterator[slice]:
        for start in range(0, len(self), rows := rows_at_once(max(1, self.matrix.shape[1]))):
            yield slice(start, start + rows)
