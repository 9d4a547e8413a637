"""The buckets of masks as a function that torch can differentiate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from .masks import MaskRows

_ROWS = 256
"""Masks moved to a device at a time."""


class MaskProduct(Protocol):
    """Masks W (M, N) in the form that training needs.

    Attributes
    ----------
    sums : float32 tensor, (M,)
        Sum of each mask's pixels.
    """

    sums: torch.Tensor

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the buckets W x, (..., M), of images (..., N)."""
        ...


def mask_product(masks: np.ndarray | MaskRows, device: torch.device) -> MaskProduct:
    """Return masks (M, N) for training on a device.

    Compact masks stay compact on a CPU; on another device, which has enough memory, all are unpacked.
    """
    if isinstance(masks, MaskRows) and device.type == "cpu":
        return _Compact(masks)
    return _Dense(masks, device)


class _Dense:
    def __init__(self, masks: np.ndarray | MaskRows, device: torch.device) -> None:
        self._masks = torch.empty(masks.shape, dtype=torch.float32, device=device)
        for start in range(0, len(masks), _ROWS):
            stop = min(start + _ROWS, len(masks))
            part = masks.dense(start, stop) if isinstance(masks, MaskRows) else masks[start:stop]
            self._masks[start:stop] = torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32))
        self.sums = self._masks.sum(dim=1)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images @ self._masks.T


class _Compact:
    def __init__(self, masks: MaskRows) -> None:
        self._masks = masks
        self.sums = torch.from_numpy(masks.sums.astype(np.float32))

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return _CompactProduct.apply(images, self._masks)


class _CompactProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, masks: MaskRows) -> torch.Tensor:
        ctx.masks = masks
        return _mapped(masks.forward, images.detach())

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _mapped(ctx.masks.adjoint, slopes[0]), None


def _mapped(product: Callable[[np.ndarray], np.ndarray], rows: torch.Tensor) -> torch.Tensor:
    """Return the product of each of the rows (..., K), in single precision."""
    results = torch.from_numpy(product(rows.reshape(-1, rows.shape[-1]).numpy()).astype(np.float32))
    return results.reshape(*rows.shape[:-1], results.shape[-1])
