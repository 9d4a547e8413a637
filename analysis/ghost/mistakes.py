"""Common mistakes in masks and buckets, detected by their effect on the data, each reported in a sentence with its remedy.

Nothing is corrected here. Alignments of masks and buckets are compared by the roughness of the image from the correlation of
buckets with masks (`likeness.roughness`): if they do not belong together, it is as rough as with shuffled buckets. Unlike
held-out buckets, this needs neither many realizations nor masks that depend on each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .inputs import rows_at_once
from .likeness import binned, roughness
from .orders import reorderings

_FEWEST = 64
_MOST_ENTRIES = 2**25
"""Maximum number of entries used (realizations times pixels): about a second on one core."""

_SHIFTS = [shift for shift in range(-8, 9) if shift]
_SHUFFLES = 40
_CERTAIN = 6.0
"""Limit in standard errors of a slope, and in scatter of the buckets."""

_BEYOND_CHANCE = 4.5
"""Limit in standard deviations of the roughness for shuffled buckets: about thirty alignments are compared."""

_SMOOTHER, _FAR_SMOOTHER = 0.94, 0.75
"""An alignment must make the image this much smoother than the given one; by itself, or beyond the scatter."""

_STANDS_OUT = 0.85

_FEWEST_FOR_DRIFT = 256
_DRIFT = 0.02
"""Relative change of the level over a scan that is reported."""

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
    found = _wrong_sign(look)
    alignment = _alignment(look)
    found += alignment
    if not alignment:
        found += _first_buckets(look) or _drift(look)
    return found


def unrelated(masks: Masks, buckets: np.ndarray) -> bool:
    """Whether the buckets contain no more information on an image than they would in any other order."""
    look = _look(masks, buckets)
    return look is not None and look.certainty(look.given) < _CERTAIN / 2


def quick_image(masks: Masks, buckets: np.ndarray, order: np.ndarray) -> np.ndarray | None:
    """The image (H, W) of the realizations `order`, by correlation alone; None if there is none."""
    order = np.sort(order[: _most(masks)])
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
    number = min(len(masks), _most(masks))
    if number < _FEWEST or not np.ptp(buckets[:number]) > 0:
        return None
    look = _Look(masks, buckets[:number].astype(np.float64))
    return None if look.flat_masks else look


def _most(masks: Masks) -> int:
    """How many realizations are used."""
    return max(_FEWEST, _MOST_ENTRIES // max(1, masks.shape[1] * masks.shape[2]))


class _Look:
    """Masks and buckets, and the roughness of the images for different alignments.

    Attributes
    ----------
    sums : array, (M,)
        Sum of each mask's pixels.
    signed : bool
        Whether a mask holds a negative value.
    given : float
        Roughness of the image from the roots of the buckets' deviations, with masks and buckets as given.
    plain : float
        Roughness of the image from the deviations themselves.
    """

    def __init__(self, masks: Masks, buckets: np.ndarray) -> None:
        self.masks, self.buckets, self.shape = masks, buckets, masks.shape[1:]
        self.number = len(buckets)
        self.sums = np.zeros(self.number)
        self.lowest, self.highest = np.inf, -np.inf
        for part, block in self._blocks():
            self.sums[part] = block.sum(axis=(1, 2), dtype=np.float64)
            self.lowest, self.highest = min(self.lowest, float(block.min())), max(self.highest, float(block.max()))
        self.signed = self.lowest < 0
        self.flat_masks = self.lowest == self.highest
        rng = np.random.default_rng(0)
        shuffled = [residual(rng.permutation(self.buckets), self.sums) for _ in range(_SHUFFLES)]
        shifted = [self._shifted(shift) for shift in _SHIFTS]
        self.orders: Mapping[str, np.ndarray] = reorderings(self.number, self.shape[0] * self.shape[1])
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
        return told[shift] < _STANDS_OUT * others and (
            told[shift] < _STANDS_OUT * beside or told[shift] < beside - 3 * self._scatter
        )

    def roughness(self, rows: list[np.ndarray]) -> np.ndarray:
        """Roughness of the images from deviations (M,) of buckets, one per row; 0 and NaN in a row: nothing is known."""
        deviations = np.stack(rows).astype(np.float32)
        images = np.zeros((len(rows), self.shape[0] * self.shape[1]), np.float32)
        for part, block in self._blocks():
            images += deviations[:, part] @ block.reshape(len(block), -1).astype(np.float32)
        return roughness(images.reshape(len(rows), *self.shape))

    def contrast(self) -> np.ndarray:
        """The image's deviation from its level, binned by 2, in the unit in which it fits the buckets best."""
        left = residual(self.buckets, self.sums)
        image = np.zeros(self.shape)
        for part, block in self._blocks():
            image += np.tensordot(left[part], block.astype(np.float32), 1)
        image -= image.mean()
        fitted = np.concatenate([np.tensordot(block.astype(np.float32), image, 2) for _, block in self._blocks()])
        fitted -= fitted.mean()
        return binned((left @ fitted / (fitted @ fitted) * image)[None], 2)[0]

    def _shifted(self, shift: int) -> np.ndarray:
        """Deviations of buckets i + shift, at the place of mask i; 0 where there are none."""
        first, last = max(0, -shift), min(self.number, self.number - shift)
        row = np.zeros(self.number)
        row[first:last] = residual(self.buckets[first + shift : last + shift], self.sums[first:last])
        return row

    def _blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        step = rows_at_once(max(1, self.shape[0] * self.shape[1]))
        for first in range(0, self.number, step):
            part = slice(first, min(first + step, self.number))
            yield part, np.asarray(self.masks[part])


def residual(buckets: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Buckets (M,) after subtraction of a level and of the part proportional to the sums of the masks; of mean 0."""
    deviation = sums - sums.mean()
    power = deviation @ deviation
    slope = deviation @ buckets / power if power > 1e-9 * (sums @ sums) else 0.0
    left: np.ndarray = buckets - buckets.mean() - slope * deviation
    return left


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
    deviation = look.sums - look.sums.mean()
    power = float(deviation @ deviation)
    if power <= 1e-9 * float(look.sums @ look.sums):
        return _is_negative(look)
    left = residual(look.buckets, look.sums)
    slope = float(deviation @ look.buckets) / power
    error = np.sqrt(float(left @ left) / max(1, look.number - 2) / power)
    return slope < -_CERTAIN * error


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


def _first_buckets(look: _Look) -> list[Mistake]:
    relative = _relative(look)
    first = look.number // 8
    middle = np.median(relative[first:])
    scatter = 1.4826 * np.median(np.abs(relative[first:] - middle))
    if scatter == 0:
        return []
    number = _leading(np.abs(relative - middle) > _CERTAIN * scatter, first)
    if number:
        row = np.zeros(look.number)
        row[number:] = residual(look.buckets[number:], look.sums[number:])
        if look.roughness([row])[0] > _SMOOTHER * look.plain:
            number = 0  # the first masks may be unusual themselves, such as coarse ones
    if not number and not look.signed and middle > 0 and (look.sums > 0).all():
        most = _IMPOSSIBLE * look.highest * middle * look.shape[0] * look.shape[1]
        number = _leading((look.buckets > most) | (look.buckets < (1 - _IMPOSSIBLE) * most), first)
    if not number:
        return []
    return [Mistake("first", f"the first {number} buckets are far from all others: was the detector settled?", f"skip={number}")]


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
    trend = slow_trend(_relative(look))
    change = float(np.ptp(trend))
    if change < _DRIFT:
        return []
    without = residual(look.buckets / trend, look.sums)
    if look.roughness([without])[0] > 0.97 * look.plain:
        return []
    return [Mistake("drift", f"the light drifts: buckets change by {100 * change:.0f} % in the course of the scan", "drift")]


def _relative(look: _Look) -> np.ndarray:
    return look.buckets / look.sums if (look.sums > 0).all() else look.buckets


def slow_trend(values: np.ndarray) -> np.ndarray:
    """The slow course of values (M,) about 1: a cubic through the medians of 16 parts of the scan."""
    parts = np.array_split(np.arange(len(values)), 16)
    middles = np.array([np.median(values[part]) for part in parts])
    times = np.array([part.mean() for part in parts]) / len(values)
    course = np.polynomial.Polynomial.fit(times, middles / np.median(values), 3)
    return np.clip(course(np.arange(len(values)) / len(values)), 0.05, 20.0)
