"""The weight of total variation as realizations arrive: cross-validation that follows them."""

from __future__ import annotations

from dataclasses import replace

from .direct_projection import MaskKernel
from .problem import Choice, Problem
from .store import Store

_USUAL_PIXELS = 64 * 64
_AGAIN = 0.05
"""The weight is chosen again when the number of realizations has grown by this fraction, for images of the usual size; less
often for larger ones, because a choice takes longer. It may fall to a tenth within a few percent of the realizations, when
structure becomes visible.
"""

_AGAIN_AT_MOST, _LAST_IF_LARGE = 0.25, 1000
"""The fraction for large problems, whose choices start from zero; and the number of realizations from which on their weight
is only extrapolated.
"""

_NEWEST = 0.5
"""Contribution of the newest choice to the weight, a moving geometric mean: single choices at flat optima scatter by a factor
of 3.
"""

_UNDECIDED, _LEAST = 1 / 8, 1e-2
"""With fewer realizations than this fraction of the pixels, cross-validation can hardly distinguish weights, and often picks
the smallest. The weight is then kept above this fraction of the weight that flattens the image: a network never quite forgets
what it has memorized from the first realizations (1.3 dB at the end of a scan in a trial).
"""


class LiveWeight:
    """The weight of total variation that is best without a network, for the realizations so far.

    Parameters
    ----------
    shape : (H, W)
    seed : int
    nonnegative : bool
    """

    def __init__(self, shape: tuple[int, int], seed: int, nonnegative: bool) -> None:
        self._shape, self._seed, self._nonnegative = shape, seed, nonnegative
        self._kernel = MaskKernel(shape)
        self._choice: Choice | None = None
        self._each = 0.0

    def follow(self, store: Store) -> Problem | None:
        """Choose it for the realizations of `store`, which only grows; return the problem used, None if no choice was due.

        Nothing is chosen if the realizations determine at most a level.
        """
        if not self._is_due(store):
            return None
        if store.is_large:
            problem = Problem(self._shape, store, self._seed, self._nonnegative)
        else:
            self._kernel.extend(store.masks[len(self._kernel) :])
            problem = Problem(self._shape, store, self._seed, self._nonnegative, self._kernel)
        if not problem.tells:
            return problem
        self._choice = problem.choose(None, None if store.is_large else self._choice)
        if store.is_large:
            self._kernel, self._choice = MaskKernel(self._shape), replace(self._choice, trials=None)
        few = len(store) < _UNDECIDED * self._shape[0] * self._shape[1]
        least = _LEAST * problem.flattening if few else 0.0
        each = max(self._choice.weight, least) / len(store)
        self._each = each if self._each == 0.0 else self._each ** (1 - _NEWEST) * each**_NEWEST
        return problem

    def of(self, count: int) -> float:
        """Return the weight for `count` realizations: proportional to them, like the weight that flattens the image."""
        return self._each * count

    def _is_due(self, store: Store) -> bool:
        if self._choice is None:
            return True
        known = self._choice.realizations
        pixels = self._shape[0] * self._shape[1]
        again = _AGAIN_AT_MOST if store.is_large else min(_AGAIN_AT_MOST, _AGAIN * max(1.0, pixels / _USUAL_PIXELS))
        return len(store) >= (1 + again) * known and not (store.is_large and known >= _LAST_IF_LARGE)
