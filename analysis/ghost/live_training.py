"""Training during the scan, in successive networks."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from .estimate import Progress, tell
from .objective import Objective
from .training import Training

_GROWN_UP = 200
"""Number of steps after which a network replaces the previous one."""

_OLD = 300
"""Number of steps before which no network is replaced: in a short scan there is only time for one."""

_LAST_BEGUN, _WITHIN = 0.45, 1.1
"""The last network is started when this fraction of the expected realizations is there, others at half of it, a quarter and
so on, but not if the number of realizations has grown by more than the second factor since then; the network would have too
little time. Networks that have learned from few realizations are 1 dB or more worse at the end.
"""

_WHOLE = 600
"""Steps of the last network, if estimates are frequent enough. For the same realizations, networks are best after 400 to 700
steps, and worse by 1 dB and more after 1500. Earlier, each estimate had its 30 steps, however frequent the estimates were:
the hundred estimates of one scan ended 1 to 6 dB below the finished image, now 0.2 to 0.6 dB.
"""

_ROUNDS = 6
"""Maximum number of rounds of training on all realizations for the last live estimate of a scan: until the network has had
its steps, some of which a slow machine may have left out, and further as long as the agreement of its images of different
inputs improves. In ten trials it was 0.2 dB worse than the finished image on average; in others 0.3 dB with up to four rounds
of 20 steps, and 0.6 dB after a single round.
"""

_MUCH_NOISE = 0.3
"""Unexplained fraction of the buckets' variance from which on the learning rate falls to 0 within the steps of each estimate.
Networks at the ends of successive cycles differ, and predict better together: a gain of 1 dB. With less noise, a steady rate
learns finer detail, with a similar gain.
"""

_TOGETHER, _SIMILAR = 3, 0.95
"""This many networks, from the last estimates, predict together. They differ to some extent, as separately trained networks
do (Huang et al., ICLR 2017): a gain of 0.1 dB at moderate noise and 0.6 dB at low noise. A network that knew less than this
fraction of the realizations would do harm.
"""


class LiveTraining:
    """Networks that continue to train while realizations arrive, with a few steps per estimate.

    A network that trains for long memorizes noise, and learns late realizations less well than a new one does. So another one
    is started from time to time; the previous one predicts from the present inputs until the new one has learned enough.

    Parameters
    ----------
    begin : callable
        Returns the training of a new network, different for each number.
    warm_up : int
        Steps during which the learning rate of a new network rises.
    most : int
        Maximum number of steps for one estimate.
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
            Returns the objective, with different splits of the realizations each time: further permutations, against
            overfitting, at little cost.
        realizations : int
            Number of realizations that it contains.
        expected : int or None
            Total number of realizations, as far as it is known; if it is unknown, there is only one network.
        unexplained : float
            Fraction of the buckets' variance that cannot be explained; see `Problem`.
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
        """Return the images (S, H, W) of the inputs after these steps, made by the newest network if it has learned enough."""
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
        """Return `images` (S, H, W) shifted so that their mean equals that of the last networks' images."""
        mean = images.mean(axis=0)
        self._means.append((mean, realizations))
        return images + np.mean([one for one, known in self._means if known >= _SIMILAR * realizations], axis=0) - mean

    def _due_steps(self, realizations: int, expected: int | None) -> int:
        """Return how many steps to do now: in proportion to the new realizations, however often estimates are made.

        A scan of unknown length counts as half finished.
        """
        if self._known:
            whole = max(expected or 2 * realizations, realizations)
            self._owed += _WHOLE * (realizations - self._known) / ((1 - _LAST_BEGUN) * whole)
        steps = min(self._most, int(self._owed))
        self._owed = min(self._owed - steps, 1.0)
        return steps

    def _is_due(self, realizations: int, expected: int | None) -> bool:
        """Return whether to start another network; never in a scan of unknown length, which may end at any moment."""
        if expected is None or self._steps < _OLD:
            return False
        doublings, since = divmod(math.log2(realizations / (_LAST_BEGUN * expected)), 1.0)
        return doublings <= 0 and since < math.log2(_WITHIN)
