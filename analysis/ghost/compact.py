"""Blocks of masks stored in the smallest number of bytes that holds them exactly."""

from __future__ import annotations

from typing import Protocol

import numpy as np

_SIGNS = np.where(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1), 1.0, -1.0).astype(np.float32)
"""The eight signs encoded by a byte, +1 for a set bit and -1 for another; (256, 8)."""


class Block(Protocol):
    """B masks w = middle + half * t, where t is read tile by tile.

    Attributes
    ----------
    middle, half : float64 array, (B,)
    sums, squares : float64 array, (B,)
        Sums over the pixels of w and of w^2.
    nbytes : int
        Memory used by the masks.
    """

    middle: np.ndarray
    half: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    nbytes: int

    def tile(self, start: int, stop: int) -> np.ndarray:
        """Return t from pixel `start` to `stop`, float32; beyond the last pixel its values are arbitrary but finite.

        `start` is a multiple of 8.
        """
        ...

    def dense(self) -> np.ndarray:
        """Return w, float32 (B, N)."""
        ...


def compact(masks: np.ndarray) -> Block:
    """Return masks, float32 (B, N), as bits if each has two values, as bytes if all are integers up to 255, else unchanged."""
    # one mask is enough to recognize most sets that do not have two values
    if _two_valued(masks[:1]) and _two_valued(masks):
        return BitBlock(masks)
    if masks.min() >= 0 and masks.max() <= 255:
        whole = masks.astype(np.uint8)
        if np.array_equal(whole, masks):
            return PlainBlock(whole)
    return PlainBlock(masks.copy())


class BitBlock:
    """Masks of two values each, one bit per pixel.

    Parameters
    ----------
    masks : float32 array, (B, N)
    """

    def __init__(self, masks: np.ndarray) -> None:
        self._pixels = masks.shape[1]
        self._low, self._high = masks.min(axis=1), masks.max(axis=1)
        self._bits = np.packbits(masks == self._high[:, None], axis=1)
        self.nbytes = self._bits.nbytes
        low, high = self._low.astype(np.float64), self._high.astype(np.float64)
        self.middle, self.half = (high + low) / 2, (high - low) / 2
        set_bits = np.bitwise_count(self._bits).sum(axis=1, dtype=np.int64)
        self.sums, self.squares = (
            (self._pixels - set_bits) * low**power + set_bits * high**power for power in (1, 2)
        )  # fmt: skip

    def tile(self, start: int, stop: int) -> np.ndarray:
        """Return signs, float32 (B, a multiple of 8)."""
        return _SIGNS.take(self._bits[:, start // 8 : -(-stop // 8)], axis=0, mode="clip").reshape(len(self._bits), -1)

    def dense(self) -> np.ndarray:
        """Return the masks, float32 (B, N)."""
        bits = np.unpackbits(self._bits, axis=1, count=self._pixels)
        return np.where(bits, self._high[:, None], self._low[:, None])


class PlainBlock:
    """Masks in the type given.

    Parameters
    ----------
    masks : uint8 or float32 array, (B, N)
    """

    def __init__(self, masks: np.ndarray) -> None:
        self._masks, self.nbytes = masks, masks.nbytes
        self.middle, self.half = np.zeros(len(masks)), np.ones(len(masks))
        self.sums = masks.sum(axis=1, dtype=np.float64)
        self.squares = np.einsum("bn,bn->b", masks, masks, dtype=np.float64)

    def tile(self, start: int, stop: int) -> np.ndarray:
        """Return the masks' values, float32 (B, stop - start)."""
        return self._masks[:, start:stop].astype(np.float32, copy=False)

    def dense(self) -> np.ndarray:
        """Return the masks, float32 (B, N)."""
        return self._masks.astype(np.float32, copy=False)


def _two_valued(masks: np.ndarray) -> bool:
    low, high = masks.min(axis=1, keepdims=True), masks.max(axis=1, keepdims=True)
    return bool(((masks == low) | (masks == high)).all())
