"""Line integrals of images along parallel rays, and their adjoint: the one matched pair of every tomographic reconstruction.

Pixels and detector bins have the same size, and lengths are in pixels. The axis of rotation lies at the middle of the image,
((N - 1) / 2, (N - 1) / 2), and at the bin `centre` of the detector. A ray of the view at angle theta that meets bin s satisfies
x cos(theta) + y sin(theta) = s - centre, with x and y from the axis.

A ray is sampled once in each row or column that it crosses, between two pixels: Joseph, IEEE Trans. Med. Imaging 1, 192 (1982).
So the weight of a pixel whose centre meets the detector at t is max(0, 1 - |s - t| / c) / c, with c = max(|cos|, |sin|).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

_KEPT_BYTES = 2**29  # matrices that are kept; further ones are made again for each product
_ENTRIES = 2**23  # of a block of views, made at once


@dataclass(frozen=True)
class _Block:
    """Some views: their rows of the projector, and the same columns of its transpose."""

    first: int
    last: int
    forward: torch.Tensor
    adjoint: torch.Tensor


class ParallelBeam:
    """The projector A of some views of square images, and its transpose.

    Images and sinograms are columns of matrices here, (N * N, Z) and (views * bins, Z), so that Z slices are projected together.

    Parameters
    ----------
    size : int
        N, pixels along each side of an image.
    angles_deg : ndarray, (views,)
        Angles of the views.
    bins : int
        Pixels of a detector row.
    centre : float
        Where the axis of rotation lies on the detector, in bins from the middle of the first.
    device : str
        "cpu", or a device of torch.
    dtype : torch.dtype
        Of the weights.
    """

    def __init__(
        self,
        size: int,
        angles_deg: np.ndarray,
        bins: int,
        centre: float,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.size, self.bins, self.centre = size, bins, centre
        self.angles = np.deg2rad(np.asarray(angles_deg, dtype=np.float64))
        self.device, self.dtype = torch.device(device), dtype
        entries = 2 * size * max(size, bins)
        self._views = max(1, _ENTRIES // entries)  # of a block
        self._view_bytes = 2 * entries * (torch.empty((), dtype=dtype).element_size() + 4)
        self._blocks: list[_Block] = [*self._made()] if self._keep else []

    def with_views(self, angles_deg: np.ndarray) -> ParallelBeam:
        """The projector of these views and further ones; matrices that there are already are shared."""
        more = copy.copy(self)
        more.angles = np.concatenate([self.angles, np.deg2rad(np.asarray(angles_deg, dtype=np.float64))])
        more._blocks = [*self._blocks, *more._made(len(self.angles))] if more._keep else []
        return more

    @property
    def shape(self) -> tuple[int, int]:
        """(views * bins, N * N)."""
        return len(self.angles) * self.bins, self.size**2

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """A x: line integrals (views * bins, Z) of images (N * N, Z)."""
        parts = [block.forward @ images for block in self._all()]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def adjoint(self, sinograms: torch.Tensor) -> torch.Tensor:
        """A' y: images (N * N, Z) of sinograms (views * bins, Z)."""
        total = None
        for block in self._all():
            part = block.adjoint @ sinograms[block.first * self.bins : block.last * self.bins]
            total = part if total is None else total.add_(part)
        assert total is not None
        return total

    def columns(self, stack: np.ndarray) -> torch.Tensor:
        """Images (Z, N, N) or sinograms (Z, views, bins) as columns."""
        flat = np.ascontiguousarray(stack.reshape(len(stack), -1).T)
        return torch.from_numpy(flat).to(self.device, self.dtype)

    def images(self, columns: torch.Tensor) -> np.ndarray:
        """Columns (N * N, Z) as images (Z, N, N)."""
        return np.ascontiguousarray(columns.cpu().numpy().T).reshape(-1, self.size, self.size)

    def sinograms(self, columns: torch.Tensor) -> np.ndarray:
        """Columns (views * bins, Z) as sinograms (Z, views, bins)."""
        return np.ascontiguousarray(columns.cpu().numpy().T).reshape(-1, len(self.angles), self.bins)

    @property
    def _keep(self) -> bool:
        return self._view_bytes * len(self.angles) <= _KEPT_BYTES

    def _all(self) -> Iterable[_Block]:
        return self._blocks if self._keep else self._made()

    def _made(self, start: int = 0) -> Iterator[_Block]:
        for first in range(start, len(self.angles), self._views):
            last = min(first + self._views, len(self.angles))
            angles = self.angles[first:last]
            yield _Block(first, last, self._rays(angles), self._pixels(angles))

    def _rays(self, angles: np.ndarray) -> torch.Tensor:
        """The rows of A: for each ray two pixels in each row, or column, of the image."""
        size, middle = self.size, (self.size - 1) / 2
        offset = np.arange(self.bins)[:, None] - self.centre
        along = np.arange(size)[None, :] - middle
        columns = np.empty((len(angles), self.bins, size, 2), dtype=np.int32)
        weights = np.empty(columns.shape, dtype=np.float32 if self.dtype == torch.float32 else np.float64)
        for view, (cos, sin) in enumerate(zip(np.cos(angles), np.sin(angles), strict=True)):
            by_row = abs(cos) >= abs(sin)  # the ray crosses each row of the image once
            steep, flat = (cos, sin) if by_row else (sin, cos)
            place = (offset - along * flat) / steep + middle
            lower = np.floor(place)
            for side in (0, 1):
                pixel = lower + side
                weight = (1 - np.abs(place - pixel)) / abs(steep)
                inside = (pixel >= 0) & (pixel < size)
                pixel = np.clip(pixel, 0, size - 1).astype(np.int32)
                step = np.arange(size, dtype=np.int32)[None, :]
                columns[view, :, :, side] = step * size + pixel if by_row else pixel * size + step
                weights[view, :, :, side] = np.where(inside, weight, 0.0)
        return self._sparse(columns.reshape(-1), weights.reshape(-1), 2 * size, size**2)

    def _pixels(self, angles: np.ndarray) -> torch.Tensor:
        """The rows of A': for each pixel two bins of each view."""
        size = self.size
        from_axis = np.arange(size) - (size - 1) / 2
        columns = np.empty((size, size, len(angles), 2), dtype=np.int32)
        weights = np.empty(columns.shape, dtype=np.float32 if self.dtype == torch.float32 else np.float64)
        for view, (cos, sin) in enumerate(zip(np.cos(angles), np.sin(angles), strict=True)):
            steep = max(abs(cos), abs(sin))
            place = from_axis[None, :] * cos + from_axis[:, None] * sin + self.centre
            lower = np.floor(place)
            for side in (0, 1):
                bin_ = lower + side
                weight = np.maximum(0.0, 1 - np.abs(place - bin_) / steep) / steep
                inside = (bin_ >= 0) & (bin_ < self.bins)
                columns[:, :, view, side] = view * self.bins + np.clip(bin_, 0, self.bins - 1)
                weights[:, :, view, side] = np.where(inside, weight, 0.0)
        return self._sparse(columns.reshape(-1), weights.reshape(-1), 2 * len(angles), len(angles) * self.bins)

    def _sparse(self, columns: np.ndarray, weights: np.ndarray, per_row: int, width: int) -> torch.Tensor:
        """A matrix with as many entries in each row; those of weight 0 are left out."""
        kept = weights != 0
        rows = np.concatenate([[0], np.cumsum(kept.reshape(-1, per_row).sum(axis=1))]).astype(np.int32)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta|Sparse invariant checks")
            return torch.sparse_csr_tensor(
                torch.from_numpy(rows),
                torch.from_numpy(columns[kept]),
                torch.from_numpy(weights[kept]),
                size=(len(rows) - 1, width),
                device=self.device,
                dtype=self.dtype,
            )
