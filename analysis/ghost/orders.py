"""Other common orders of the same masks."""

from __future__ import annotations

import numpy as np


def reorderings(number: int, pixels: int) -> dict[str, np.ndarray]:
    """Orders of buckets that may be those of the masks: bucket order[i] is then that of mask i.

    Parameters
    ----------
    number : int
        Masks.
    pixels : int
        Pixels of a mask. A complete set of Hadamard masks has as many masks as pixels, both a power of two, and may be in
        natural order, in that of sequency or in dyadic order, along both axes or over all pixels at once.

    Returns
    -------
    dict
        By the keyword: "reverse", "natural-to-sequency" and the like.
    """
    orders = {"reverse": np.arange(number)[::-1]}
    if number != pixels or number < 16 or number & (number - 1):
        return orders
    bits = number.bit_length() - 1
    lines = {"": hadamard_places(number)}
    if bits % 2 == 0:
        lines["-by-axes"] = {name: _both(place) for name, place in hadamard_places(1 << (bits // 2)).items()}
    for suffix, places in lines.items():
        for measured, place in places.items():
            for given, other in places.items():
                if measured != given:
                    inverse = np.empty(number, np.int64)
                    inverse[place] = np.arange(number)
                    orders[f"{measured}-to-{given}{suffix}"] = inverse[other]
    return orders


def hadamard_places(size: int) -> dict[str, np.ndarray]:
    """The row of Sylvester's Hadamard matrix at each place of an order, int64 (size,); natural, sequency and dyadic."""
    index = np.arange(size)
    bits = size.bit_length() - 1
    dyadic = np.zeros(size, np.int64)
    for bit in range(bits):
        dyadic |= ((index >> bit) & 1) << (bits - 1 - bit)
    return {"natural": index, "sequency": dyadic[index ^ (index >> 1)], "dyadic": dyadic}


def _both(place: np.ndarray) -> np.ndarray:
    size = len(place)
    row, column = np.divmod(np.arange(size * size), size)
    return place[row] * size + place[column]
