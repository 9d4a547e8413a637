"""What nobody has said of an experiment, found by trial: how the detector lies, and how far the beam has spread."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

SPREADS = (0.35, 0.71, 1.41, 2.83, 5.66)
"""Choices for the width of the beam on the sample, in pixels over those on the detector: one is within a factor of 1.4."""

_EPOCHS = 5


def best_guess(
    error: Callable[[str, float, int], float], orientations: Sequence[str], spreads: Sequence[float]
) -> tuple[str, float]:
    """The orientation and the spread with the smallest error.

    Parameters
    ----------
    error : callable
        Gets an orientation, a spread and a number of epochs, and returns the error that a reconstruction with one mode ends with.
    orientations, spreads : sequence
        What is tried; of one choice of each nothing is.
    """
    choices = list(itertools.product(orientations, spreads))
    if len(choices) == 1:
        return choices[0]
    errors = {choice: error(*choice, _EPOCHS) for choice in choices}
    return min(errors, key=errors.__getitem__)
