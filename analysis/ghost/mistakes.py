"""Common mistakes in masks and buckets, detected by their effect on the data, each reported in a sentence with its remedy.

Nothing is corrected here. Alignments of masks and buckets are compared by the roughness of the image from the correlation of
buckets with masks (`likeness.roughness`): if they do not belong together, it is as rough as with shuffled buckets. Unlike
held-out buckets, this needs neither many realizations nor masks that depend on each other. Masks of many pixels are binned,
which is fast, and leaves out the noise of fine pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.stats import rankdata

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
_CERTAIN = 6.0
"""Limit in standard errors of a slope, and in scatter of the buckets."""

_BEYOND_CHANCE = 4.5
"""Limit in standard deviations of the roughness for shuffled buckets: about thirty alignments are compared."""

_SMOOTHER, _FAR_SMOOTHER = 0.94, 0.75
"""An alignment must make the image this much smoother than the given one; by itself, or beyond the scatter."""

_STANDS_OUT, _NEARLY = 0.85, 0.03

_COMPARED, _COARSER, _COARSE = 64, 1.5, 0.8
"""Number of masks with which the first ones are compared, how much coarser than those they must be, and from which coarseness on
no comparison is needed: all masks of a part of a set may be coarse.
"""

_FEWEST_FOR_DRIFT = 256
_DEGREE, _DRIFT = 5, 0.02
"""Degree of the polynomial that follows a drift, and the relative change over a scan that is reported."""

_IMPOSSIBLE = 1.3
"""No bucket of a non-negative object exceeds that of a fully open mask; this factor allows for the uncertainty of the latter."""


class Masks(Protocol):
    """An array (M, H, W), or an object that can be sliced like one."""

    shape: tuple[int, ...]

    def __getitem__(self, part: slice) -> np.ndarray: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Mistake:
    """A suspected mistake.

    Attributes
    ----------
    name : str
        "negative", "offset", "inverted", "shift", "order", "first", "drift" or "unrelated".
    sentence : str
        The observation, and its possible meaning.
    mend : str
        The keyword of its remedy; empty if there is none.
    """

    name: str
    sentence: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.sentence} (--mend {self.mend})" if self.mend else self.sentence


def mistakes(masks: Masks, buckets: np.ndarray) -> list[Mistake]:
    """Find suspected mistakes in masks (M, H, W) and buckets (M,), in the order in which they were measured.

    Returns
    -------
    list of Mistake
        Empty if there are none, or if there are fewer than 64 realizations.
    """
    look = _look(masks, buckets)
    if look is None:
        return []
    found, first, drift = _wrong_sign(look), _wild_beginning(look), _drift(look)
    alignment = _alignment(look)
    if alignment and (first or drift):  # which alone may make an ordered set fit better in another order
        alignment = _alignment_without(look, first)
    return found + (alignment or _first_buckets(first) or drift)


def unrelated(masks: Masks, buckets: np.ndarray) -> bool:
    """Whether the buckets contain no more information on an image than they would in any other order."""
    look = _look(masks, buckets)
    return look is not None and look.certainty(look.given) < _CERTAIN / 2


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


def _look(masks: Masks, buckets: np.ndarray) -> _Look | None:
    """What the first realizations tell; None if there are too few of them, or if all masks or all buckets are the same."""
    number = min(len(masks), _most(masks.shape[1:]))
    if number < _FEWEST or not np.ptp(buckets[:number]) > 0:
        return None
    look = _Look(masks, buckets[:number].astype(np.float64))
    return None if look.flat_masks else look


def _most(shape: tuple[int, ...]) -> int:
    """How many realizations are used."""
    return max(_FEWEST, _MOST_ENTRIES * _binning(shape) ** 2 // max(1, shape[0] * shape[1]))


def _binning(shape: tuple[int, ...]) -> int:
    """By how many pixels along each axis masks are binned."""
    size = 1
    while shape[0] * shape[1] > _MOST_PIXELS * size**2:
        size *= 2
    return size if min(shape) >= 8 * size else 1


class _Look:
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
        unusual = self.certainty(rough) > _BEYOND_CHANCE and rough < _SMOOTHER * self._least
        return clearly and unusual and rough < _SMOOTHER * self.given

    def stands_out(self, shift: int) -> bool:
        """Whether the image of a shift is smoother than those of its neighbours.

        If masks are ordered from coarse to fine, all shifts that assign large buckets to coarser masks give smoother images.
        """
        told = {0: self.given, **self.shifts}
        beside = min(told[near] for near in (shift - 1, shift + 1) if near in told)
        others = min(rough for one, rough in told.items() if one not in (shift - 1, shift, shift + 1))
        ordered = self.certainty(min(beside, others)) > _BEYOND_CHANCE
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
        last = max(number, self.number - _COMPARED)
        first, others = (_coarseness(np.asarray(self.source[part])) for part in (slice(0, number), slice(last, self.number)))
        return bool(np.median(first) > min(_COARSE, _COARSER * np.median(others)))

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


def _wrong_sign(look: _Look) -> list[Mistake]:
    found = []
    negative = float(np.mean(look.buckets < 0))
    if not look.signed and negative > 0.8:
        found.append(
            Mistake("negative", f"{100 * negative:.0f} % of the buckets are negative: is the signal negative-going?", "negate")
        )
    elif not look.signed and negative > 0.05 and np.mean(look.buckets) < np.std(look.buckets):
        found.append(
            Mistake(
                "offset",
                f"{100 * negative:.0f} % of the buckets are negative, though no mask is: is the signal AC-coupled, or too much "
                "dark signal subtracted?",
                "offset",
            )
        )
    if _falls(look) and not found:
        found.append(
            Mistake(
                "inverted",
                "the buckets fall as the masks open: are open and closed swapped in the masks, or is the signal negative-going?",
                "invert-masks",
            )
        )
    return found


def _falls(look: _Look) -> bool:
    """Whether buckets decrease with the sum of the masks or, if the sums are similar, the image is far below zero."""
    deviation = look.sums - np.median(look.sums)
    usual = np.abs(deviation) <= 1e-6 * np.abs(look.sums).max()
    if usual.mean() > 0.5:
        return _is_negative(look) or _is_dark_when_open(look, usual)
    # Ranks, because the few masks of a set whose sums differ most prove nothing.
    ranks = [rankdata(values) for values in (deviation, look.buckets)]
    slope = float(np.corrcoef(*ranks)[0, 1]) * np.sqrt(look.number)
    return slope < -_CERTAIN or (slope < _CERTAIN and _is_negative(look))


def _is_dark_when_open(look: _Look, usual: np.ndarray) -> bool:
    """Whether the few masks of another sum, such as the fully open one of a Hadamard set, let just what they stop pass."""
    if look.signed or usual.all():
        return False
    closed = look.highest * look.pixels - look.sums
    level = float(look.buckets[usual].mean() / closed[usual].mean())
    error = np.abs(look.buckets - level * closed)[~usual]
    return bool((error < _NEARLY * level * closed[usual].mean()).all())


def _is_negative(look: _Look) -> bool:
    """Whether an image of known level is far below zero in places, but its counterpart of opposite contrast is not."""
    level = float(look.buckets.mean() / look.sums.mean())
    if look.signed or level <= 0 or look.certainty(look.given) < _BEYOND_CHANCE:
        return False
    contrast = look.contrast()
    below, opposite = (float(np.mean(np.minimum(level + sign * contrast, 0.0) ** 2)) for sign in (1, -1))
    return below > 0.02 * float(np.mean(contrast**2)) and below > 8 * opposite


def _alignment(look: _Look) -> list[Mistake]:
    shift = min(look.shifts, key=lambda one: look.shifts[one])
    order = min(look.ordered, key=lambda one: look.ordered[one])
    if look.ordered[order] < look.shifts[shift] and look.better(look.ordered[order]):
        return [Mistake("order", f"masks and buckets are in different orders: {order} fits far better", order)]
    if look.better(look.shifts[shift]) and look.stands_out(shift):
        late = f"bucket {shift + 1}" if shift > 0 else "bucket 1"
        early = "mask 1" if shift > 0 else f"mask {1 - shift}"
        return [
            Mistake("shift", f"masks and buckets are shifted by {abs(shift)}: {late} belongs to {early}", f"shift={shift}"),
        ]
    return []


def _alignment_without(look: _Look, first: int) -> list[Mistake]:
    """Alignment of the realizations behind the first ones, if these are wrong, else without the drift."""
    if first:
        rest = _look(look.source[first:], look.buckets[first:])
    else:
        rest = _look(look.source, look.buckets / slow_trend(_relative(look)))
    return [] if rest is None else _alignment(rest)


def _first_buckets(number: int) -> list[Mistake]:
    if not number:
        return []
    told = "bucket is" if number == 1 else f"{number} buckets are"
    return [Mistake("first", f"the first {told} far from all others: was the detector settled?", f"skip={number}")]


def _wild_beginning(look: _Look) -> int:
    """How many buckets at the beginning are far from all others, or impossible."""
    relative = _relative(look)
    first = look.number // 8
    middle = np.median(relative[first:])
    scatter = 1.4826 * np.median(np.abs(relative[first:] - middle))
    if scatter == 0:
        return 0
    number = _leading(np.abs(relative - middle) > _CERTAIN * scatter, first)
    if number and look.begins_coarse(number):
        row = np.zeros(look.number)
        row[number:] = residual(look.buckets[number:], look.sums[number:])
        if look.roughness([row])[0] > _SMOOTHER * look.plain:
            number = 0  # the first masks are unusual themselves
    if not number and not look.signed and middle > 0 and (look.sums > 0).all():
        most = _IMPOSSIBLE * look.highest * middle * look.pixels
        number = _leading((look.buckets > most) | (look.buckets < (1 - _IMPOSSIBLE) * most), first)
    return number


def _leading(wild: np.ndarray, most: int) -> int:
    """Number of outliers at the beginning, nearly half of which may look normal; 0 if there are outliers elsewhere too."""
    if wild[most:].mean() > 0.01:
        return 0
    places = np.flatnonzero(wild[:most]) + 1
    leading = [int(place) for place in places if wild[:place].mean() > 0.4]
    return leading[-1] if leading else 0


def _drift(look: _Look) -> list[Mistake]:
    mean = float(np.mean(look.buckets))
    if look.number < _FEWEST_FOR_DRIFT or look.signed or mean < 2 * np.std(look.buckets) or (look.sums <= 0).any():
        return []  # buckets around zero do not show changes of the beam
    relative = _relative(look)
    trend = slow_trend(relative)
    change = float(np.ptp(trend))
    if change < _DRIFT or not _is_beyond_chance(relative):
        return []
    return [Mistake("drift", f"the light drifts: buckets change by {100 * change:.0f} % in the course of the scan", "drift")]


def _relative(look: _Look) -> np.ndarray:
    return look.buckets / look.sums if (look.sums > 0).all() else residual(look.buckets, look.sums)


def slow_trend(values: np.ndarray) -> np.ndarray:
    """The slow course of values (M,) about 1: a polynomial through the medians of 16 parts, weighted by their errors."""
    times, middles, errors = _parts(values)
    course = np.polynomial.Polynomial.fit(times, middles, _DEGREE, w=1 / errors)
    return np.clip(course(np.arange(len(values)) / len(values)), 0.05, 20.0)


def _is_beyond_chance(values: np.ndarray) -> bool:
    """Whether a slow course explains far more of the medians than a constant does."""
    times, middles, errors = _parts(values)
    constant, course = (np.polynomial.Polynomial.fit(times, middles, degree, w=1 / errors)(times) for degree in (0, _DEGREE))
    explained = float(np.sum(((middles - constant) / errors) ** 2) - np.sum(((middles - course) / errors) ** 2))
    return explained > _CERTAIN**2


def _parts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, medians and standard errors of the medians, of 16 parts of a scan, relative to the median of all values."""
    parts = [values[part] for part in np.array_split(np.arange(len(values)), 16)]
    times = (np.arange(16) + 0.5) / 16
    middles = np.array([np.median(part) for part in parts])
    scatter = np.array([1.4826 * np.median(np.abs(part - middle)) for part, middle in zip(parts, middles, strict=True)])
    whole = np.median(values)
    errors = 1.2533 * scatter / np.sqrt(len(values) / 16) / abs(whole)
    return times, middles / whole, np.maximum(errors, 1e-3)
