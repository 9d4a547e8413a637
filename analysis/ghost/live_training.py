"""Training that goes on while realizations come, in networks that follow each other."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .estimate import Progress, tell
from .objective import Objective
from .training import Training

_GROWN_UP = 150
"""Steps after which a network takes over from the one before."""

_OLD = 300
"""Steps before which none is replaced: of a quick scan one network is all that there is time for."""

_LAST_BEGUN, _WITHIN = 0.45, 1.1
"""The last network is begun when this part of the realizations expected is there, others at half of it, a quarter and so on, but
not when they have become more by the second factor, or it would have too little time. Networks that have learned from few
realizations are worse by 1 dB and more at the end."""

_MUCH_NOISE = 0.3
"""Part of the buckets' variance that can't be explained, from which on the learning rate falls to 0 in each estimate's steps.
Networks at the ends of successive falls differ, and predict better together: worth 1 dB. With less noise a steady rate learns
finer detail, worth as much."""


class LiveTraining:
    """Networks that train on while realizations come, a few steps an estimate.

    A network that goes on for long learns noise by heart, and what came late less well than a new one does. So another is begun
    now and then; the one before predicts, from the inputs at hand, until it has learned enough.

    Parameters
    ----------
    begin : callable
        Returns the training of a new network, different for each number.
    expected : int or None
        Realizations to come, if known; else there is one network alone.
    warm_up : int
        Steps in which a new network's learning rate rises.
    """

    def __init__(self, begin: Callable[[int], Training], expected: int | None, warm_up: int) -> None:
        self._begin, self._expected, self._warm_up = begin, expected, warm_up
        self._newest: Training | None = None
        self._shown: Training | None = None
        self._number = self._steps = 0

    def images(
        self, objective: Objective, realizations: int, steps: int, unexplained: float, progress: Progress | None
    ) -> np.ndarray:
        """Return the images (S, H, W) of the inputs of `objective` after so many steps on it.

        Parameters
        ----------
        objective : Objective
        realizations : int
            That it knows.
        steps : int
        unexplained : float
            Part of the buckets' variance that can't be explained; see `Problem`.
        progress : callable or None
        """
        if self._newest is None or self._is_due(realizations):
            self._newest = self._begin(self._number)
            self._number, self._steps = self._number + 1, 0
        newest = self._newest
        newest.pose(objective)
        swing = 1.0 if unexplained > _MUCH_NOISE else 0.0
        for step in range(steps):
            fall = math.cos(math.pi * step / steps)
            newest.set_rate(min(1.0, (self._steps + 1) / self._warm_up) * (1 + swing * fall))
            newest.step()
            newest.average(1 - 1 / steps)
            self._steps += 1
            tell(progress, step, steps)
        newest.keep(realizations)
        if self._shown is None or self._steps >= _GROWN_UP:
            self._shown = newest
        if self._shown is not newest:
            self._shown.pose(objective)
        return self._shown.predictions()

    def _is_due(self, realizations: int) -> bool:
        """Return whether to begin another network; never in a scan of unknown length, which may end at once."""
        if self._expected is None or self._steps < _OLD:
            return False
        doublings, since = divmod(math.log2(realizations / (_LAST_BEGUN * self._expected)), 1.0)
        return doublings <= 0 and since < math.log2(_WITHIN)
