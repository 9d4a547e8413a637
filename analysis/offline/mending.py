"""The usual mistakes in masks and buckets, mended where a person says so, and never otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.ghost.orders import reorderings
from analysis.ghost.slow_trend import slow_trend
from analysis.offline.ingest_error import IngestError
from analysis.offline.orientation import TURNS


@dataclass(frozen=True, eq=False)
class Data:
    """Masks (M, H, W), buckets (M,) and perhaps their errors, in the order in which they were measured."""

    masks: np.ndarray
    buckets: np.ndarray
    errors: np.ndarray | None

    def part(self, masks: slice, buckets: slice) -> Data:
        """Some of the masks with some of the buckets."""
        return Data(self.masks[masks], self.buckets[buckets], None if self.errors is None else self.errors[buckets])


WORDS = {
    "invert-masks": "open and closed were swapped in the masks",
    "negate": "the signal is negative-going",
    "offset": "the level of the signal was lost (AC coupling): what masks and buckets have in common is taken off both",
    "shift=N": "bucket i + N belongs to mask i",
    "skip=N": "the first N realizations are left out",
    "reverse": "the buckets were measured in the reverse order",
    "drift": "buckets are divided by their slow course",
    "zeros": "buckets that are exactly 0 were not measured",
    "lowest-bit-first": "the lowest bit of a byte is the first pixel of masks that were read as bits",
    **{f"turn={turn}": "the masks are turned so" for turn in TURNS},
    "natural-to-sequency": "the buckets of a whole Hadamard set are in natural order, its masks in that of sequency; and so on",
}
"""Every word, and what it says of the data."""


def mended(data: Data, words: Sequence[str]) -> Data:
    """Data as they should have been.

    Parameters
    ----------
    data : Data
    words : sequence of str
        As in `WORDS`, in any order: alignment comes first, then the signal, then the masks.

    Raises
    ------
    IngestError
        If a word is none, or leaves nothing.
    """
    steps = sorted((_step(word, data) for word in words), key=lambda step: step[0])
    for _, step in steps:
        data = step(data)
        if not len(data.buckets) or not np.isfinite(data.buckets).any():
            raise IngestError(f"--mend {' --mend '.join(words)} leaves no realization: leave fewer out")
    return data


def _step(word: str, data: Data) -> tuple[int, Callable[[Data], Data]]:
    """When a word's turn is, and what it does."""
    name, _, value = word.partition("=")
    if name in ("shift", "skip") and re.fullmatch(r"[+-]?\d{1,9}" if name == "shift" else r"\d{1,9}", value):
        return 0, _shift(int(value)) if name == "shift" else _skip(int(value))
    orders = reorderings(len(data.buckets), int(np.prod(data.masks.shape[1:])))
    if word in orders:
        return 0, _reordered(orders[word])
    if name == "turn" and value in TURNS:
        return 3, lambda data: replace(data, masks=TURNS[value](data.masks))
    if word in _PLAIN:
        return _PLAIN[word]
    raise IngestError(f"--mend {word} is none of {', '.join(WORDS)}")


def _shift(by: int) -> Callable[[Data], Data]:
    def step(data: Data) -> Data:
        number = max(0, len(data.buckets) - abs(by))
        first = max(0, -by), max(0, by)
        return data.part(slice(first[0], first[0] + number), slice(first[1], first[1] + number))

    return step


def _skip(number: int) -> Callable[[Data], Data]:
    rest = slice(number, None)
    return lambda data: data.part(rest, rest)


def _reordered(order: np.ndarray) -> Callable[[Data], Data]:
    return lambda data: Data(data.masks, data.buckets[order], None if data.errors is None else data.errors[order])


def _inverted(data: Data) -> Data:
    masks = data.masks
    if masks.dtype == np.bool_:
        return replace(data, masks=~masks)
    low, high = masks.min(), masks.max()
    if low < 0:
        return replace(data, masks=-masks)
    return replace(data, masks=np.subtract(low + high, masks, dtype=masks.dtype, casting="unsafe"))


def _without_offset(data: Data) -> Data:
    usable = np.isfinite(data.buckets)
    mean = data.masks[usable].mean(axis=0, dtype=np.float64).astype(np.float32)
    return Data(data.masks - mean, data.buckets - data.buckets[usable].mean(), data.errors)


def _without_drift(data: Data) -> Data:
    sums = data.masks.sum(axis=(1, 2), dtype=np.float64)
    relative = data.buckets / sums if (sums > 0).all() else data.buckets
    usable = np.isfinite(relative)
    course = np.ones(len(relative))
    course[usable] = slow_trend(relative[usable])
    return Data(data.masks, data.buckets / course, None if data.errors is None else data.errors / course)


def _lowest_bit_first(data: Data) -> Data:
    shape = data.masks.shape
    if shape[1] * shape[2] % 8:
        raise IngestError("--mend lowest-bit-first needs masks of whole bytes: unpack them yourself")
    return replace(data, masks=data.masks.reshape(len(data.masks), -1, 8)[:, :, ::-1].reshape(shape))


def _without_zeros(data: Data) -> Data:
    return replace(data, buckets=np.where(data.buckets == 0, np.nan, data.buckets))


_PLAIN: dict[str, tuple[int, Callable[[Data], Data]]] = {
    "zeros": (1, _without_zeros),
    "negate": (1, lambda data: replace(data, buckets=-data.buckets)),
    "drift": (2, _without_drift),
    "lowest-bit-first": (2, _lowest_bit_first),
    "invert-masks": (3, _inverted),
    "offset": (4, _without_offset),
}
