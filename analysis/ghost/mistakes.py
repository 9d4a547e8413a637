"""Common mistakes in masks and buckets, detected by their effect on the data, each reported in a sentence with its remedy.

Nothing is corrected here. Alignments of masks and buckets are compared in `alignments`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from .alignments import BEYOND_CHANCE, SMOOTHER, Look, Masks, look_at, residual
from .slow_trend import is_beyond_chance, slow_trend

_CERTAIN = 6.0
"""Limit in standard errors of a slope, and in scatter of the buckets."""

_NEARLY = 0.03

_FEWEST_FOR_DRIFT = 256
_DRIFT = 0.02
"""Relative change of the level over a scan that is reported."""

_IMPOSSIBLE = 1.3
"""No bucket of a non-negative object exceeds that of a fully open mask; this factor allows for the uncertainty of the latter."""


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
    look = look_at(masks, buckets)
    if look is None:
        return []
    found, first, drift = _wrong_sign(look), _wild_beginning(look), _drift(look)
    alignment = _alignment(look)
    if alignment and (first or drift):  # which alone may make an ordered set fit better in another order
        alignment = _alignment_without(look, first)
    return found + (alignment or _first_buckets(first) or drift)


def unrelated(masks: Masks, buckets: np.ndarray) -> bool:
    """Whether the buckets contain no more information on an image than they would in any other order."""
    look = look_at(masks, buckets)
    return look is not None and look.certainty(look.given) < _CERTAIN / 2


def _wrong_sign(look: Look) -> list[Mistake]:
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


def _falls(look: Look) -> bool:
    """Whether buckets decrease with the sum of the masks or, if the sums are similar, the image is far below zero."""
    deviation = look.sums - np.median(look.sums)
    usual = np.abs(deviation) <= 1e-6 * np.abs(look.sums).max()
    if usual.mean() > 0.5:
        return _is_negative(look) or _is_dark_when_open(look, usual)
    # Ranks, because the few masks of a set whose sums differ most prove nothing.
    ranks = [rankdata(values) for values in (deviation, look.buckets)]
    slope = float(np.corrcoef(*ranks)[0, 1]) * np.sqrt(look.number)
    return slope < -_CERTAIN or (slope < _CERTAIN and _is_negative(look))


def _is_dark_when_open(look: Look, usual: np.ndarray) -> bool:
    """Whether the few masks of another sum, such as the fully open one of a Hadamard set, let just what they stop pass."""
    if look.signed or usual.all():
        return False
    closed = look.highest * look.pixels - look.sums
    level = float(look.buckets[usual].mean() / closed[usual].mean())
    error = np.abs(look.buckets - level * closed)[~usual]
    return bool((error < _NEARLY * level * closed[usual].mean()).all())


def _is_negative(look: Look) -> bool:
    """Whether an image of known level is far below zero in places, but its counterpart of opposite contrast is not."""
    level = float(look.buckets.mean() / look.sums.mean())
    if look.signed or level <= 0 or look.certainty(look.given) < BEYOND_CHANCE:
        return False
    contrast = look.contrast()
    below, opposite = (float(np.mean(np.minimum(level + sign * contrast, 0.0) ** 2)) for sign in (1, -1))
    return below > 0.02 * float(np.mean(contrast**2)) and below > 8 * opposite


def _alignment(look: Look) -> list[Mistake]:
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


def _alignment_without(look: Look, first: int) -> list[Mistake]:
    """Alignment of the realizations after the first ones, if these are wrong, else without the drift."""
    if first:
        rest = look_at(look.source[first:], look.buckets[first:])
    else:
        rest = look_at(look.source, look.buckets / slow_trend(_relative(look)))
    return [] if rest is None else _alignment(rest)


def _first_buckets(number: int) -> list[Mistake]:
    if not number:
        return []
    told = "bucket is" if number == 1 else f"{number} buckets are"
    return [Mistake("first", f"the first {told} far from all others: was the detector settled?", f"skip={number}")]


def _wild_beginning(look: Look) -> int:
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
        if look.roughness([row])[0] > SMOOTHER * look.plain:
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


def _drift(look: Look) -> list[Mistake]:
    mean = float(np.mean(look.buckets))
    if look.number < _FEWEST_FOR_DRIFT or look.signed or mean < 2 * np.std(look.buckets) or (look.sums <= 0).any():
        return []  # buckets around zero do not show changes of the beam
    relative = _relative(look)
    trend = slow_trend(relative)
    change = float(np.ptp(trend))
    if change < _DRIFT or not is_beyond_chance(relative):
        return []
    return [Mistake("drift", f"the light drifts: buckets change by {100 * change:.0f} % in the course of the scan", "drift")]


def _relative(look: Look) -> np.ndarray:
    return look.buckets / look.sums if (look.sums > 0).all() else residual(look.buckets, look.sums)
