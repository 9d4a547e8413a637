"""Training during the scan, in networks that succeed each other."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from .estimate import Progress, tell
from .objective import Objective
from .training import Training

_GROWN_UP = 200
"""Steps after which a network takes over from the one before."""

_OLD = 300
"""Steps before which none is replaced: of a quick scan one network is all that there is time for."""

_LAST_BEGUN, _WITHIN = 0.45, 1.1
"""The last network is begun when this part of the realizations expected is there, others at half of it, a quarter and so on, but
not when they have become more by the second factor, or it would have too little time. Networks that have learned from few
realizations are worse by 1 dB and more at the end."""

_WHOLE = 600
"""Steps of the last network, if estimates come often enough for so many. On the same realizations networks are best after 400 to
700 steps, and worse by 1 dB and more after 1500. Before, each estimate had its 30 steps, however often they came: a hundred
estimates of one scan ended 1 to 6 dB below the finished image, now 0.2 to 0.6 dB."""

_ROUNDS = 6
"""How often to train on all realizations, at most, for the last live estimate of a scan: until the network has had its steps,
which a slow machine may have left out, and on as long as its images of different inputs come to agree. In ten trials it was
0.2 dB short of the finished one on average; in others 0.3 with up to four rounds of 20 steps, and 0.6 after a single one."""

_MUCH_NOISE = 0.3
"""Part of the buckets' variance that can't be explained, from which on the learning rate falls to 0 in each estimate's steps.
Networks at the ends of successive falls differ, and predict better together: worth 1 dB. With less noise a steady rate learns
finer detail, worth as much."""

_TOGETHER, _SIMILAR = 3, 0.95
"""So many networks, of the last estimates, predict together. They differ somewhat as separately trained ones would (Huang et al.,
ICLR 2017): worth 0.1 dB at moderate noise and 0.6 dB at little. One that knew less than this part of the realizations would do
harm instead."""


class LiveTraining:
    """Networks that train on while realizations come, a few steps an estimate.

    A network that goes on for long learns noise by heart, and what came late less well than a new one does. So another is begun
    now and then; the one before predicts, from the inputs at hand, until it has learned enough.

    Parameters
    ----------
    begin : callable
        Returns the training of a new network, different for each number.
    warm_up : int
        Steps in which a new network's learning rate rises.
    most : int
        Steps of one estimate, at most.
    """

    def __init__(self, begin: Callable[[int], Training], warm_up: int, most: int) -> None:
        self._begin, self._warm_up, self._most = begin, warm_up, most
        self._newest: Training | None = None
        self._shown: Training | None = None
        self._number = self._steps = self._known = 0
        self._owed = float(most)
        self._means: deque[tuple[np.ndarray, int]] = deque(maxlen=_TOGETHER)

    def images(
        self,
        objective: Callable[[], Objective],
        realizations: int,
        expected: int | None,
        unexplained: float,
        progress: Progress | None,
    ) -> np.ndarray:
        """Return the images (S, H, W) of the inputs of an objective after some steps on it.

        Parameters
        ----------
        objective : callable
            Returns the objective, with other splits of the realizations each time: further permutations, against overfitting, at
            little cost.
        realizations : int
            That it knows.
        expected : int or None
            That there will be in all, as far as is known by now; if nothing is, there is one network alone.
        unexplained : float
            Part of the buckets' variance that can't be explained; see `Problem`.
        progress : callable or None
        """
        if self._newest is None or self._is_due(realizations, expected):
            self._newest = self._begin(self._number)
            self._number, self._steps = self._number + 1, 0
        newest, steps = self._newest, self._due_steps(realizations, expected)
        last = expected is not None and realizations >= expected and realizations > self._known
        self._known = realizations
        images = self._together(self._trained(newest, objective(), steps, unexplained, progress), realizations)
        for _ in range(_ROUNDS - 1 if last else 0):
            enough = self._steps >= _WHOLE
            later = self._trained(newest, objective(), self._most, unexplained, progress)
            if enough and later.var(axis=0).mean() >= images.var(axis=0).mean():
                break
            images = self._together(later, realizations)
        return images

    def _trained(
        self, newest: Training, objective: Objective, steps: int, unexplained: float, progress: Progress | None
    ) -> np.ndarray:
        """Return the images (S, H, W) of the inputs after so many steps, made by the newest network if it has learned enough."""
        newest.pose(objective)
        swing = 1.0 if unexplained > _MUCH_NOISE else 0.0
        for step in range(steps):
            fall = math.cos(math.pi * step / steps)
            newest.set_rate(min(1.0, (self._steps + 1) / self._warm_up) * (1 + swing * fall))
            newest.step()
            newest.average(1 - 1 / self._most)
            self._steps += 1
            tell(progress, step, steps)
        if self._shown is None or self._steps >= _GROWN_UP:
            self._shown = newest
        if self._shown is not newest:
            self._shown.pose(objective)
        return self._shown.predictions()

    def _together(self, images: np.ndarray, realizations: int) -> np.ndarray:
        """Return `images` (S, H, W) shifted so that their mean is that of the last networks' images."""
        mean = images.mean(axis=0)
        self._means.append((mean, realizations))
        return images + np.mean([one for one, known in self._means if known >= _SIMILAR * realizations], axis=0) - mean

    def _due_steps(self, realizations: int, expected: int | None) -> int:
        """Return how many steps to do now: in proportion to what is new, however often estimates are made.

        A scan of unknown length counts as half over.
        """
        if self._known:
            whole = max(expected or 2 * realizations, realizations)
            self._owed += _WHOLE * (realizations - self._known) / ((1 - _LAST_BEGUN) * whole)
        steps = min(self._most, int(self._owed))
        self._owed = min(self._owed - steps, 1.0)
        return steps

    def _is_due(self, realizations: int, expected: int | None) -> bool:
        """Return whether to begin another network; never in a scan of unknown length, which may end at once."""
        if expected is None or self._steps < _OLD:
            return False
        doublings, since = divmod(math.log2(realizations / (_LAST_BEGUN * expected)), 1.0)
        return doublings <= 0 and since < math.log2(_WITHIN)
