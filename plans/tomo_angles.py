"""In which order a tomographic scan visits its angles."""

from __future__ import annotations

import numpy as np

ORDERS = ("equal", "interlaced", "golden")
GOLDEN = (np.sqrt(5) - 1) / 2


def projection_angles(order: str, num: int, rounds: int, first_deg: float, span_deg: float) -> list[np.ndarray]:
    """Return the angles of each round, in degrees, in the order in which they are visited; none comes twice.

    Parameters
    ----------
    order : {"equal", "interlaced", "golden"}
        One equal step after the other, each round the next part of the span. Or every round over the whole span, between the
        angles of the rounds before, in the order of reversed bits: K. A. Mohan et al., IEEE Trans. Comput. Imaging 1, 96 (2015).
        Or by the golden section of the span, so that any number of angles is spread nearly evenly: T. Kohler, IEEE Nucl. Sci.
        Symp. Conf. Rec. 6, 3961 (2004).
    num : int
        Of all angles.
    rounds : int
        With "interlaced", the number must be divisible by it.
    first_deg, span_deg : float
        The first angle, and the span, whose end is not one of them.
    """
    if order == "golden":
        parts = np.array_split(np.arange(num) * GOLDEN % 1, rounds)
    elif order == "interlaced":
        bits = (rounds - 1).bit_length()
        turns = sorted(range(rounds), key=lambda number: f"{number:0{bits}b}"[::-1])
        parts = [(np.arange(num // rounds) * rounds + turn) / num for turn in turns]
    else:
        parts = np.array_split(np.arange(num) / num, rounds)
    return [first_deg + span_deg * part for part in parts]
