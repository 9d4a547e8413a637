"""Total-variation reconstruction, whose weight is chosen by cross-validation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .direct_projection import MaskKernel
from .estimate import Estimate, Progress
from .groups import BLOCK
from .inputs import is_number
from .problem import Problem, flat_estimate
from .reconstructor import Reconstructor
from .store import Store
from .total_variation import State

_CHOOSE_AGAIN = 1.5
"""During the scan, the weight is chosen again when the number of realizations has grown by this factor."""

_MOST_ITERATIONS = 10**6
"""Far above what any image needs: a start document must not request days of work."""

_LIVE_TOLERANCE, _LIVE_ITERATIONS = 3e-3, 60
_LIVE_ENTRIES = 25 * 10**7
"""Live iterations of large problems may read this many entries of masks, which takes a fraction of a second; their weight is
not changed.
"""


class TotalVariation(Reconstructor):
    """Least squares with total variation and, on request, non-negativity: eq. 2 of Noise2Ghost, converged.

    x = argmin 1/2 ||W x - y||^2 + weight * TV(x), with isotropic TV; with errors s given, each squared residual is multiplied
    by <s>^2 / s^2. The weight is chosen by cross-validation over the realizations unless given.
    """

    name: ClassVar[str] = "tv"
    fast: ClassVar[bool] = True
    summary: ClassVar[str] = "total variation with non-negativity, converged, weight by cross-validation"
    defaults: ClassVar[dict[str, Any]] = {"weight": None, "tolerance": 1e-4, "max_iterations": 1000}

    def __init__(self, shape: tuple[int, int], **options: Any) -> None:
        super().__init__(shape, **options)
        self._check_options()
        self._store = Store(self.shape[0] * self.shape[1], self.expected)
        self._kernel, self._complete = MaskKernel(self.shape), 0
        self._warm: State | None = None
        self._warm_share, self._warm_unit, self._chosen_at = 0.0, 1.0, 0
        self._unexplained = 1.0

    def _check_options(self) -> None:
        weight, tolerance, most = (self._given[name] for name in self.defaults)
        if weight is not None and not (is_number(weight) and 0 <= weight < np.inf):
            raise ValueError(f"weight must be a number from 0, or None to have it chosen, not {weight!r}")
        if not (is_number(tolerance) and 0 < tolerance < 1):
            raise ValueError(f"tolerance must be a number between 0 and 1, not {tolerance!r}")
        if not (is_number(most) and 1 <= most <= _MOST_ITERATIONS and most == int(most)):
            raise ValueError(f"max_iterations must be a whole number from 1 to {_MOST_ITERATIONS}, not {most!r}")

    def _take(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None) -> None:
        self._store.append(masks, buckets, errors)

    def _final(self, progress: Progress | None) -> Estimate:
        problem = self._problem()
        if problem is None:
            return flat_estimate(self._store, self.shape, self.nonnegative)
        weight = self._weigh(problem, progress)
        self._chosen["weight"] = weight
        state = problem.finish(problem.fresh(weight), weight, self._given["tolerance"], int(self._given["max_iterations"]))
        return problem.estimate(state)

    def _live(self, progress: Progress | None) -> Estimate:
        problem = self._problem()
        if problem is None:
            return flat_estimate(self._store, self.shape, self.nonnegative)
        warm = self._warm
        large = self._store.is_large
        if warm is None or (self.count >= _CHOOSE_AGAIN * self._chosen_at and not large):
            weight, self._chosen_at = self._weigh(problem, progress), self.count
            self._unexplained = problem.unexplained
        else:
            given = self._given["weight"]
            weight = self._warm_share * problem.flattening if given is None else given
            problem.unexplained = self._unexplained
        state = problem.fresh(weight) if warm is None else warm.grown(problem.projection).scaled(self._warm_unit / problem.unit)
        fitting = max(1, _LIVE_ENTRIES // (self.count * self._store.matrix.pixels)) if large else _LIVE_ITERATIONS
        self._warm = problem.finish(state, weight, _LIVE_TOLERANCE, min(fitting, _LIVE_ITERATIONS))
        self._warm_share, self._warm_unit = weight / problem.flattening, problem.unit
        return problem.estimate(self._warm)

    def _weigh(self, problem: Problem, progress: Progress | None) -> float:
        """Return the given weight, or the best one; in both cases the problem then knows the unexplained variance."""
        best = problem.choose(progress).weight
        return best if self._given["weight"] is None else float(self._given["weight"])

    def _problem(self) -> Problem | None:
        """Return the problem for the realizations so far, or None if they determine at most a level."""
        if not self._store.is_large:
            self._extend_kernel()
        problem = Problem(self.shape, self._store, self.seed, self.nonnegative, self._kernel)
        return problem if problem.tells else None

    def _extend_kernel(self) -> None:
        """Add the missing realizations to the kernel, in blocks from the first so that no bit depends on batches."""
        self._kernel.truncate(self._complete)
        for start in range(self._complete, self.count, BLOCK):
            self._kernel.extend(self._store.matrix.dense(start, start + BLOCK))
        self._complete = self.count // BLOCK * BLOCK
