"""The masks of a scan, W (M, N), stored compactly, and their products with images and buckets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .compact import Block, PlainBlock, compact
from .memory import leave_some

_ROWS = 128
"""Masks in one block; a multiple of `groups.BLOCK`. The storage depends only on their number within the scan, so no bit
depends on how they were divided into batches.
"""

_COLUMNS = 2048
"""Pixels converted to single precision at a time: together with the rows of a block they fit into a core's cache."""


class Masks:
    """Masks in order of arrival; they take one bit per pixel if each has two values, one byte if they are small integers.

    Products read the masks block by block in single precision, and sum blocks in double precision. The constant part of an
    image, or of the coefficients, is subtracted first and added again from sums in double precision: all masks share a level,
    whose rounding errors would hide their differences.

    Parameters
    ----------
    pixels : int
        Pixels N of a mask.
    """

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels
        self._blocks: list[Block] = []
        self._rest = np.empty((0, pixels), dtype=np.float32)
        self._count = 0
        self._kept_total = np.zeros(pixels)
        self._kept_bytes = 0
        self._last: tuple[PlainBlock, np.ndarray] | None = None

    def __len__(self) -> int:
        return self._count

    def append(self, masks: np.ndarray) -> None:
        """Add masks, float32 (B, N).

        Raises
        ------
        MemoryError
            The masks use nearly all memory.
        """
        start, self._last = 0, None
        while start < len(masks):
            used = self._count % _ROWS
            part = masks[start : start + _ROWS - used]
            if len(part) == _ROWS:
                self._keep(part)
            else:
                if len(self._rest) == 0:
                    self._rest = np.empty((_ROWS, self.pixels), dtype=np.float32)
                self._rest[used : used + len(part)] = part
                if used + len(part) == _ROWS:
                    self._keep(self._rest)
                    self._rest = np.empty((0, self.pixels), dtype=np.float32)
            self._count += len(part)
            start += len(part)

    def _keep(self, masks: np.ndarray) -> None:
        block = compact(masks)
        self._kept_bytes += block.nbytes
        leave_some(self._kept_bytes)
        self._blocks.append(block)
        self._kept_total += self._column_sums(block)

    def _column_sums(self, block: Block) -> np.ndarray:
        sums = np.empty(self.pixels)
        for start, stop in self._tiles():
            sums[start:stop] = (block.half @ block.tile(start, stop).astype(np.float64))[: stop - start]
        return sums + block.middle.sum()

    def _tiles(self) -> Iterator[tuple[int, int]]:
        for start in range(0, self.pixels, _COLUMNS):
            yield start, min(start + _COLUMNS, self.pixels)

    def _all_blocks(self) -> Iterator[tuple[slice, Block]]:
        for number, block in enumerate(self._blocks):
            yield slice(number * _ROWS, (number + 1) * _ROWS), block
        known = len(self._blocks) * _ROWS
        if known < self._count:
            yield slice(known, self._count), self._incomplete()[0]

    def _incomplete(self) -> tuple[PlainBlock, np.ndarray]:
        """Return the block that is not complete yet, with its column sums."""
        if self._last is None:
            block = PlainBlock(self._rest[: self._count % _ROWS])
            self._last = block, self._column_sums(block)
        return self._last

    @property
    def sums(self) -> np.ndarray:
        """Sum of each mask's pixels, float64 (M,)."""
        return np.concatenate([np.zeros(0), *(block.sums for _, block in self._all_blocks())])

    @property
    def squares(self) -> np.ndarray:
        """Sum of the squares of each mask's pixels, float64 (M,)."""
        return np.concatenate([np.zeros(0), *(block.squares for _, block in self._all_blocks())])

    @property
    def total(self) -> np.ndarray:
        """Sum of all masks, float64 (N,)."""
        return self._kept_total + self._incomplete()[1] if self._count % _ROWS else self._kept_total

    def dense(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Return the masks from number `start` to `stop`, float32 (stop - start, N)."""
        stop = self._count if stop is None else min(stop, self._count)
        masks = np.empty((max(stop - start, 0), self.pixels), dtype=np.float32)
        for rows, block in self._all_blocks():
            first, last = max(rows.start, start), min(rows.stop, stop)
            if first < last:
                masks[first - start : last - start] = block.dense()[first - rows.start : last - rows.start]
        return masks

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Return the buckets W x, float64 (S, M), of images (S, N)."""
        means = images.mean(axis=1, dtype=np.float64)
        # bits are read by the byte: zeros for the pixels beyond the last
        deviations = np.zeros((len(images), -(-self.pixels // 8) * 8), dtype=np.float32)
        deviations[:, : self.pixels] = images - means[:, None]
        left = deviations.sum(axis=1, dtype=np.float64)
        buckets = np.empty((len(images), self._count))
        for rows, block in self._all_blocks():
            part = np.zeros((len(block.half), len(images)))
            for start, stop in self._tiles():
                tile = block.tile(start, stop)
                part += tile @ deviations[:, start : start + tile.shape[1]].T
            buckets[:, rows] = part.T * block.half + left[:, None] * block.middle + means[:, None] * block.sums
        return buckets

    def adjoint(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the images W' a, float64 (S, N), of coefficients (S, M)."""
        means = coefficients.mean(axis=1, dtype=np.float64)
        images = means[:, None] * self.total
        for rows, block in self._all_blocks():
            deviations = coefficients[:, rows] - means[:, None]
            images += (deviations @ block.middle)[:, None]
            halves = (deviations * block.half).astype(np.float32)
            for start, stop in self._tiles():
                images[:, start:stop] += (halves @ block.tile(start, stop))[:, : stop - start]
        return images


class MaskRows:
    """Some of the masks of a scan, divided by a unit, as a separate matrix (M, N).

    Parameters
    ----------
    masks : Masks
    chosen : int array, (M,)
        Numbers of the masks.
    unit : float
    """

    def __init__(self, masks: Masks, chosen: np.ndarray, unit: float = 1.0) -> None:
        self._masks, self._chosen, self._unit = masks, chosen, unit
        self.pixels = masks.pixels

    def __len__(self) -> int:
        return len(self._chosen)

    def __truediv__(self, unit: float) -> MaskRows:
        return MaskRows(self._masks, self._chosen, self._unit * unit)

    @property
    def shape(self) -> tuple[int, int]:
        """(M, N)."""
        return len(self), self.pixels

    @property
    def sums(self) -> np.ndarray:
        """Sum of each mask's pixels, float64 (M,)."""
        return self._masks.sums[self._chosen] / self._unit

    @property
    def squares(self) -> np.ndarray:
        """Sum of the squares of each mask's pixels, float64 (M,)."""
        return self._masks.squares[self._chosen] / self._unit**2

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Return the buckets W x, float64 (S, M), of images (S, N)."""
        return self._masks.forward(images)[:, self._chosen] / self._unit

    def adjoint(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the images W' a, float64 (S, N), of coefficients (S, M)."""
        spread_out = np.zeros((len(coefficients), len(self._masks)))
        spread_out[:, self._chosen] = coefficients
        return self._masks.adjoint(spread_out) / self._unit

    def dense(self, start: int, stop: int) -> np.ndarray:
        """Return the masks from number `start` to `stop` of those chosen, float32 (stop - start, N)."""
        chosen = self._chosen[start:stop]
        first, last = int(chosen.min()), int(chosen.max())
        return self._masks.dense(first, last + 1)[chosen - first] / np.float32(self._unit)


def sums_of(masks: np.ndarray | MaskRows) -> np.ndarray:
    """Return the sum of each mask's pixels, float64 (M,), of masks (M, N)."""
    return masks.sums if isinstance(masks, MaskRows) else masks.sum(axis=1, dtype=np.float64)


def spread_of(masks: np.ndarray | MaskRows) -> float:
    """Return the variance over realizations, averaged over pixels, of masks (M, N)."""
    if isinstance(masks, MaskRows):
        mean = masks.adjoint(np.full((1, len(masks)), 1 / len(masks)))
        return max(float(masks.squares.mean()) / masks.pixels - float(np.mean(mean**2)), 0.0)
    return float(masks.var(axis=0, dtype=np.float64).mean())
