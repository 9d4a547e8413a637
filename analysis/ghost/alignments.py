"""How well masks and buckets belong together, by the image that they make: as given, shifted, or in another order.

Images are made by the correlation of buckets with masks, and compared by their roughness (`likeness.roughness`): if masks
and buckets do not belong together, it is as rough as with shuffled buckets. Unlike held-out buckets, this needs neither many
realizations nor masks that depend on each other. Masks of many pixels are binned, which is fast, and leaves out the noise of
fine pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from .inputs import rows_at_once
from .likeness import binned, roughness
from .orders import reorderings

_FEWEST = 64
_MOST_PIXELS = 2048
"""Masks of more pixels are binned."""

_MOST_ENTRIES = 2**24
"""Maximum number of entries used (realizations times binned pixels): about a second on one core."""

_SHIFTS = [shift for shift in range(-8, 9) if shift]
_SHUFFLES = 40

BEYOND_CHANCE = 4.5
"""Limit in standard deviations of the roughness for shuffled buckets: about thirty alignments are compared."""

SMOOTHER = 0.94
_FAR_SMOOTHER = 0.75
"""An alignment must make the image this much smoother than the given one; by itself, or beyond the scatter."""

_STANDS_OUT = 0.85

_COARSE = 0.8
"""Coarseness of masks whose buckets may be unusual, such as the first ones in sequency order."""


class Masks(Protocol):
    """An array (M, H, W), or an object that can be sliced like one."""

    shape: tuple[int, ...]

    def __getitem__(self, part: slice) -> np.ndarray: ...
    def __len__(self) -> int: ...


def look_at(masks: Masks, buckets: np.ndarray) -> Look | None:
    """What the first realizations tell; None if there are too few of them, or if all masks or all buckets are the same."""
    number = min(len(masks), _most(masks.shape[1:]))
    if number < _FEWEST or not np.ptp(buckets[:number]) > 0:
        return None
    look = Look(masks, buckets[:number].astype(np.float64))
    return None if look.flat_masks else look


def quick_image(masks: Masks, buckets: np.ndarray, order: np.ndarray) -> np.ndarray | None:
    """The image (H, W) of the realizations `order`, by correlation alone; None if there is none."""
    order = np.sort(order[: _most(masks.shape[1:])])
    if len(order) < 2:
        return None
    sums, image = np.zeros(len(order)), np.zeros(masks.shape[1:])
    step = rows_at_once(max(1, image.size))
    for first in range(0, len(order), step):
        sums[first : first + step] = masks[order[first : first + step]].sum(axis=(1, 2), dtype=np.float64)  # type: ignore[index]
    left = residual(buckets[order], sums)
    for first in range(0, len(order), step):
        image += np.tensordot(left[first : first + step], masks[order[first : first + step]].astype(np.float32), 1)  # type: ignore[index]
    return image


class Look:
    """Masks and buckets, and the roughness of the images for different alignments.

    Attributes
    ----------
    source : Masks, (M, H, W)
        The masks.
    masks : array, float32 (M, h, w)
        The masks, binned.
    sums : array, (M,)
        Sum of each mask's pixels.
    highest : float
        The largest value of a pixel.
    signed : bool
        Whether a mask holds a negative value.
    given : float
        Roughness of the image from the roots of the buckets' deviations, with masks and buckets as given.
    plain : float
        Roughness of the image from the deviations themselves.
    """

    def __init__(self, masks: Masks, buckets: np.ndarray) -> None:
        self.source, self.buckets, self.pixels = masks, buckets, masks.shape[1] * masks.shape[2]
        self.number = len(buckets)
        self.size = _binning(masks.shape[1:])
        self.sums = np.zeros(self.number)
        self.masks = np.zeros((self.number, masks.shape[1] // self.size, masks.shape[2] // self.size), np.float32)
        lowest, self.highest = np.inf, -np.inf
        step = rows_at_once(max(1, self.pixels))
        for first in range(0, self.number, step):
            part = slice(first, min(first + step, self.number))
            block = np.asarray(masks[part])
            self.sums[part] = block.sum(axis=(1, 2), dtype=np.float64)
            self.masks[part] = binned(block, self.size)
            lowest, self.highest = min(lowest, float(block.min())), max(self.highest, float(block.max()))
        self.signed = lowest < 0
        self.flat_masks = lowest == self.highest
        rng = np.random.default_rng(0)
        shuffled = [residual(rng.permutation(self.buckets), self.sums) for _ in range(_SHUFFLES)]
        shifted = [self._shifted(shift) for shift in _SHIFTS]
        self.orders: Mapping[str, np.ndarray] = reorderings(self.number, self.pixels)
        ordered = [residual(self.buckets[order], self.sums) for order in self.orders.values()]
        plain = residual(self.buckets, self.sums)
        # The roots are used because the largest bucket alone, at the place of a coarse mask, would make a smooth image.
        told = self.roughness([np.sign(row) * np.sqrt(np.abs(row)) for row in (plain, *shifted, *ordered, *shuffled)])
        self.plain = float(self.roughness([plain])[0])
        self.given = float(told[0])
        self.shifts = dict(zip(_SHIFTS, told[1 : 1 + len(_SHIFTS)], strict=True))
        self.ordered = dict(zip(self.orders, told[1 + len(_SHIFTS) : -_SHUFFLES], strict=True))
        self._usual, self._least = float(np.mean(told[-_SHUFFLES:])), float(np.min(told[-_SHUFFLES:]))
        self._scatter = max(float(np.std(told[-_SHUFFLES:])), 0.004 * self._usual)

    def certainty(self, rough: float) -> float:
        """By how many standard deviations an image is smoother than those of shuffled buckets."""
        return (self._usual - rough) / self._scatter

    def better(self, rough: float) -> bool:
        """Whether an image is so much smoother than the given one that this cannot be due to chance."""
        clearly = rough < _FAR_SMOOTHER * self.given or rough < self.given - 3 * self._scatter
        unusual = self.certainty(rough) > BEYOND_CHANCE and rough < SMOOTHER * self._least
        return clearly and unusual and rough < SMOOTHER * self.given

    def stands_out(self, shift: int) -> bool:
        """Whether the image of a shift is smoother than those of its neighbours.

        If masks are ordered from coarse to fine, all shifts that assign large buckets to coarser masks give smoother images.
        """
        told = {0: self.given, **self.shifts}
        beside = min(told[near] for near in (shift - 1, shift + 1) if near in told)
        others = min(rough for one, rough in told.items() if one not in (shift - 1, shift, shift + 1))
        ordered = self.certainty(min(beside, others)) > BEYOND_CHANCE
        if ordered and told[shift] > _STANDS_OUT * others:
            return False
        return told[shift] < _STANDS_OUT * beside or told[shift] < min(beside, others) - 3 * self._scatter

    def roughness(self, rows: list[np.ndarray]) -> np.ndarray:
        """Roughness of the images from deviations (M,) of buckets, one per row; 0 and NaN in a row: nothing is known."""
        return roughness(self._images(np.stack(rows)))

    def contrast(self) -> np.ndarray:
        """The image's deviation from its level, in pixels of at least 2x2, in the unit in which it fits the buckets best."""
        left = residual(self.buckets, self.sums)
        image = self._images(left[None])[0]
        image -= image.mean()
        fitted = self.size**2 * (self.masks.reshape(self.number, -1) @ image.ravel()).astype(np.float64)
        fitted -= fitted.mean()
        made = (left @ fitted / (fitted @ fitted) * image)[None]
        return made[0] if self.size > 1 else binned(made, 2)[0]

    def begins_coarse(self, number: int) -> bool:
        """Whether the first masks are coarse, as in sequency order: their buckets may be unusual."""
        return bool(np.median(_coarseness(np.asarray(self.source[:number]))) > _COARSE)

    def _images(self, rows: np.ndarray) -> np.ndarray:
        """Images from deviations (S, M) of buckets."""
        images = rows.astype(np.float32) @ self.masks.reshape(self.number, -1)
        return images.reshape(len(rows), *self.masks.shape[1:])

    def _shifted(self, shift: int) -> np.ndarray:
        """Deviations of buckets i + shift, at the place of mask i; 0 where there are none."""
        first, last = max(0, -shift), min(self.number, self.number - shift)
        row = np.zeros(self.number)
        row[first:last] = residual(self.buckets[first + shift : last + shift], self.sums[first:last])
        return row


def residual(buckets: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Buckets (M,) after subtraction of a level and of the part proportional to the sums of the masks; of mean 0."""
    deviation = sums - sums.mean()
    power = deviation @ deviation
    slope = deviation @ buckets / power if power > 1e-9 * (sums @ sums) else 0.0
    left: np.ndarray = buckets - buckets.mean() - slope * deviation
    return left


def _coarseness(masks: np.ndarray) -> np.ndarray:
    """The part of the variation of masks (M, H, W) that stripes show, along either axis, at a quarter of its length; (M,)."""
    height, width = (max(1, length // 4) for length in masks.shape[1:])
    rows = masks[:, : masks.shape[1] // height * height].reshape(len(masks), -1, height, masks.shape[2])
    columns = masks[:, :, : masks.shape[2] // width * width].reshape(len(masks), masks.shape[1], -1, width)
    stripes = [part.mean(axis=axis).std(axis=(1, 2)) for part, axis in ((rows, 2), (columns, 3))]
    spread = masks.std(axis=(1, 2))
    return np.divide(np.maximum(*stripes), spread, out=np.ones(len(masks)), where=spread > 0)


def _most(shape: tuple[int, ...]) -> int:
    """How many realizations are used."""
    return max(_FEWEST, _MOST_ENTRIES * _binning(shape) ** 2 // max(1, shape[0] * shape[1]))


def _binning(shape: tuple[int, ...]) -> int:
    """By how many pixels along each axis masks are binned."""
    size = 1
    while shape[0] * shape[1] > _MOST_PIXELS * size**2:
        size *= 2
    return size if min(shape) >= 8 * size else 1
