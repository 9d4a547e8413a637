"""Unknown parameters of the experiment, found by trial: the orientation of the detector and the spread of the beam."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

SPREADS = (0.35, 0.71, 1.41, 2.83, 5.66)
"""Trial values for the width of the beam on the sample, in pixels over that on the detector: one is within a factor of 1.4."""

_EPOCHS = 5


def best_guess(
    error: Callable[[str, float, int], float], orientations: Sequence[str], spreads: Sequence[float]
) -> tuple[str, float]:
    """The orientation and the spread with the smallest error.

    Parameters
    ----------
    error : callable
        Called with an orientation, a spread and a number of epochs; returns the final error of a reconstruction with one
        mode.
    orientations, spreads : sequence
        Trial values; if there is only one of each, no trial is made.
    """
    choices = list(itertools.product(orientations, spreads))
    if len(choices) == 1:
        return choices[0]
    errors = {choice: error(*choice, _EPOCHS) for choice in choices}
    return min(errors, key=errors.__getitem__)
