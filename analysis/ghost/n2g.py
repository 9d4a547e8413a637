"""Noise2Ghost: a network that learns the object from the noise's independence between splits of the data."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .estimate import Estimate, Progress
from .groups import groups_of
from .problem import TEST_GROUP, Problem, deviation, flat_estimate, row_weights
from .reconstructor import Reconstructor
from .splits import split
from .store import Store
from .total_variation import MaskKernel

if TYPE_CHECKING:
    from .training import Objective, Training

_LIVE_RATE = 0.4
"""Learning rate of live steps, relative to the highest of the one-cycle schedule."""

_WEIGHT_SHARE = 0.5
"""Weight of TV relative to the one that is best without a network, which smooths by itself. Between 0.25 and 1 it makes
no difference at moderate noise; at very high noise 0.25 overfits and 1 blurs (by 0.8 and 2.2 dB in trials)."""

_FEWEST_STEPS = 50
_TIMED_STEPS = 8


class Noise2Ghost(Reconstructor):
    """Noise2Ghost (Manni et al. 2025), eq. 6 and 12, with a faster training than published.

    x = 1/(P K) sum_pk N(x_pk), with N trained to minimise, over sub-reconstructions x_pk = W_pk^+ y_pk,
    1/2 ||W_i N(x_pk) - y_i||^2 + weight * TV(N(x_pk)) on the realizations i that x_pk does not know. One realization
    in sixteen is kept for the quoted loss alone. The weight, if not given, is that which cross-validation
    finds for total variation alone, times a constant.

    Differs from the publication in its training: one x_pk a step, a one-cycle schedule that reaches 5e-3, the
    constant direction of the residual damped, non-negativity by a softplus about the mean level.
    """

    name: ClassVar[str] = "n2g"
    fast: ClassVar[bool] = False
    summary: ClassVar[str] = "Noise2Ghost: self-supervised network trained on this scan alone"
    defaults: ClassVar[dict[str, Any]] = {
        "weight": None,
        "splits": 4,
        "permutations": 6,
        "steps": 400,
        "live_steps": 100,
        "learning_rate": 5e-3,
        "features": 24,
        "levels": 3,
    }

    def __init__(self, shape: tuple[int, int], **options: Any) -> None:
        super().__init__(shape, **options)
        self._check_options()
        self._store = Store(self.shape[0] * self.shape[1], self.expected)
        self._training: Training | None = None
        self._seconds: float | None = None
        self._weight: float | None = None
        self._weighed_at = 0

    def _check_options(self) -> None:
        given = self._given
        for name, least in (("splits", 2), ("permutations", 1), ("steps", 1), ("live_steps", 1), ("features", 1), ("levels", 0)):
            value = given[name]
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number from {least}, not {value!r}")
        rate, weight = given["learning_rate"], given["weight"]
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1:
            raise ValueError(f"learning_rate must be a number between 0 and 1, not {rate!r}")
        if weight is not None and (isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < np.inf):
            raise ValueError(f"weight must be a number from 0, or None to have it chosen, not {weight!r}")

    def _take(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None) -> None:
        self._store.append(masks, buckets, errors)

    def limit_time(self, seconds: float) -> None:
        """Ask that `finish` take no longer than this: it then times its first steps and does as many as fit."""
        self._seconds = seconds

    def _final(self, progress: Progress | None) -> Estimate:
        started = time.monotonic()
        weight = self._find_weight()
        if weight is None:
            return flat_estimate(self._store, self.shape, self.nonnegative)
        if self._given["weight"] is None:
            self._chosen["weight"] = weight
        self._chosen["levels"] = _fitting_levels(self.shape, self._given["levels"])
        objective = self._objective(weight)
        steps = self._given["steps"]
        if self._seconds is not None:
            steps = self._affordable(objective, self._seconds, started)
            self._chosen["steps"] = steps
        training = self._new_training(objective)
        schedule = training.one_cycle(steps)
        for step in range(steps):
            training.step()
            schedule.step()
            if progress is not None and step % 20 == 0:
                progress(step / steps)
        return self._estimate(training)

    def _live(self, progress: Progress | None) -> Estimate:
        if self._weight is None or self.count >= 1.3 * self._weighed_at:
            self._weight, self._weighed_at = self._find_weight(), self.count
        if self._weight is None:
            return flat_estimate(self._store, self.shape, self.nonnegative)
        objective = self._objective(self._weight)
        if self._training is None:
            self._training = self._new_training(objective)
            self._training.hold(_LIVE_RATE * self._given["learning_rate"])
        else:
            self._training.pose(objective)
        steps = self._given["live_steps"]
        for step in range(steps):
            self._training.step()
            if progress is not None and step % 20 == 0:
                progress(step / steps)
        return self._estimate(self._training)

    def _tested(self) -> np.ndarray:
        """Return which realizations are kept for the quoted loss, (M,): half of those that choose no weight."""
        tested = groups_of(self.seed, self.count) == TEST_GROUP
        tested[np.flatnonzero(tested)[1::2]] = False
        return tested

    def _find_weight(self) -> float | None:
        """Return the weight for eq. 12, or None if the realizations tell of a level at most."""
        taught = self.count - int(self._tested().sum())
        if taught < 2 or self.shape == (1, 1):
            return None
        kernel = MaskKernel(self.shape)
        kernel.extend(self._store.masks)
        problem = Problem(kernel, self._store, self.seed, self.nonnegative)
        if not problem.tells:
            return None
        given = self._given["weight"]
        return float(given if given is not None else _WEIGHT_SHARE * problem.choose(None))

    def _objective(self, weight: float) -> Objective:
        from .training import Objective

        taught = ~self._tested()
        masks, buckets = self._store.masks[taught], self._store.buckets[taught]
        parts = split(
            masks,
            buckets,
            min(self._given["splits"], len(buckets)),
            self._given["permutations"],
            np.random.default_rng((self.seed, 2)),
        )
        return Objective.of(
            self.shape,
            parts,
            masks,
            buckets,
            row=row_weights(self._store.errors[taught]),
            weight=weight,
            nonnegative=self.nonnegative,
        )

    def _new_training(self, objective: Objective) -> Training:
        from .training import Training

        given = self._given
        levels = _fitting_levels(self.shape, given["levels"])
        training = Training(given["features"], levels, given["learning_rate"], self.seed, self.device)
        training.pose(objective)
        return training

    def _affordable(self, objective: Objective, seconds: float, begun: float) -> int:
        """Return how many steps, of those asked for, fit into `seconds` of which the count began at `begun`."""
        trial = self._new_training(objective)
        trial.step()
        started = time.monotonic()
        for _ in range(_TIMED_STEPS):
            trial.step()
        # a prediction costs about a third of a step, and there is one for each sub-reconstruction
        each = (time.monotonic() - started) / _TIMED_STEPS
        left = seconds - (time.monotonic() - begun) - each * len(objective.inputs) / 3
        if left < _FEWEST_STEPS * each:
            raise ValueError(
                f"time_budget_s is too short: n2g needs {_FEWEST_STEPS} steps of {each:.3g} s and the time to prepare "
                f"them; give {seconds - left + 1.1 * _FEWEST_STEPS * each:.1f} s or more, or use tv"
            )
        return min(self._given["steps"], int(left / each))

    def _estimate(self, training: Training) -> Estimate:
        predictions = training.predictions()
        image = predictions.mean(axis=0)
        tested = self._tested()
        loss = float("nan")
        if tested.sum() > 1:
            values = self._store.buckets[tested]
            residual = values - self._store.masks[tested].astype(np.float64) @ image.reshape(-1)
            row = row_weights(self._store.errors[tested])
            span = deviation(values, row)
            loss = deviation(residual, row) / span if span > 0 else loss
        return Estimate(
            image=image.astype(np.float32),
            spread=predictions.std(axis=0, ddof=1).astype(np.float32),
            heldout_loss=loss,
            figures={"frc_resolution_px": float("nan")},
        )


def _fitting_levels(shape: tuple[int, int], levels: int) -> int:
    """Return how many halvings leave 4 pixels or more to normalise over at the coarsest level."""
    while levels and -(-shape[0] // 2**levels) * -(-shape[1] // 2**levels) < 4:
        levels -= 1
    return levels
