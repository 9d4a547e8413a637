"""What the methods that train a network on one scan have in common: options, weight, schedule, budget, estimate."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .estimate import Estimate, Progress
from .groups import groups_of
from .live_weight import LiveWeight, least_live_weight
from .objective import BucketTargets, ImageTargets, Objective, Units
from .problem import TEST_GROUP, Problem, deviation, flat_estimate, row_weights
from .reconstructor import Reconstructor
from .store import Store
from .total_variation import MaskKernel

if TYPE_CHECKING:
    import torch

    from .training import Training

_USUAL_PIXELS = 64 * 64

VALIDATION_GROUP = 6
"""Its realizations choose the share of the weight, or the epoch, where there is one to choose."""

_FEWEST_STEPS = 50
_TIMED_STEPS = 8


class Learned(Reconstructor):
    """A network trained on the scan at hand, from which the image is the mean of what it makes of its inputs.

    One input a step, a one-cycle schedule of the learning rate, the constant direction of the residual
    damped, non-negativity by a softplus about the mean level, total variation. One realization in sixteen is kept for the
    quoted loss alone. The weight, if not given, is that which cross-validation finds for total variation
    without a network, times a share: of a method with several, that whose image predicts an eighth of the
    realizations best which it was not trained on.
    """

    fast: ClassVar[bool] = False
    weight_shares: ClassVar[tuple[float, ...]]
    """Weights of total variation to try, relative to the one that is best without a network, which smooths by itself."""

    usual_live_steps: ClassVar[int]
    """Steps of a live estimate of 64x64 pixels, if not given; of larger images fewer, so that it takes no longer."""

    usual_steps: ClassVar[int]
    """Steps at moderate noise, if not given. By the part of the buckets' variance that total variation can't predict they become
    half as many, for the longer a network trains the better it fits noise, or three times as many where there is hardly any."""

    least: ClassVar[dict[str, int]] = {"steps": 1, "live_steps": 1}
    """The options that are whole numbers, with their smallest values; None, where it is the default, is none of them."""

    def __init__(self, shape: tuple[int, int], **options: Any) -> None:
        super().__init__(shape, **options)
        self._check_options()
        self._store = Store(self.shape[0] * self.shape[1], self.expected)
        self._training: Training | None = None
        self._seconds: float | None = None
        self._live_weight = LiveWeight()
        self._unexplained = 0.4

    def _check_options(self) -> None:
        given = self._given
        for name, least in self.least.items():
            value = given[name]
            if value is None and self.defaults[name] is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number from {least}, not {value!r}")
        rate, weight = given["learning_rate"], given["weight"]
        if not (_is_number(rate) and 0 < rate < 1):
            raise ValueError(f"learning_rate must be a number between 0 and 1, not {rate!r}")
        if weight is not None and not (_is_number(weight) and 0 <= weight < np.inf):
            raise ValueError(f"weight must be a number from 0, or None to have it chosen, not {weight!r}")

    @abstractmethod
    def _network(self, generator: torch.Generator) -> torch.nn.Module:
        """Return a new network, its first weights drawn from `generator`."""

    @abstractmethod
    def _views(
        self, masks: np.ndarray, buckets: np.ndarray, row: np.ndarray, units: Units
    ) -> tuple[np.ndarray, BucketTargets | ImageTargets]:
        """Return inputs (S, channels, H, W) and targets for masks (M, N), buckets (M,) and row weights (M,)."""

    def _take(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None) -> None:
        self._store.append(masks, buckets, errors)

    def limit_time(self, seconds: float) -> None:
        """Ask that `finish` take no longer than this: it then times its first steps and does as many as fit."""
        self._seconds = seconds

    def _final(self, progress: Progress | None) -> Estimate:
        started = time.monotonic()
        problem = self._problem()
        if problem is None:
            return flat_estimate(self._store, self.shape, self.nonnegative)
        weight = self._find_weight(problem)
        taught = self._taught()
        shares = self.weight_shares if self._given["weight"] is None else (1.0,)
        trials = len(shares) if len(shares) > 1 else 0
        steps = self._wanted_steps()
        if self._seconds is not None:
            steps = min(steps, self._affordable(self._objective(weight, taught), self._seconds, started, trials + 1))
        self._chosen["steps"] = steps
        told = _part(progress, 0, trials, trials + 1)
        share = self._best_share(weight, taught, steps, told) if trials else shares[0]
        if self._given["weight"] is None:
            self._chosen["weight"] = weight = share * weight
        objective = self._objective(weight, taught)
        predictions = self._train(objective, steps, _part(progress, trials, 1, trials + 1))
        return self._estimate(predictions, self._spread(predictions, problem, weight))

    def _wanted_steps(self) -> int:
        if self._given["steps"] is not None:
            return int(self._given["steps"])
        noise = self._unexplained
        return round(self.usual_steps * float(np.clip(1.5 - 1.1 * noise, 0.5, 1.0) + 2 * np.clip(1 - 10 * noise, 0.0, 1.0)))

    def _best_share(self, weight: float, taught: np.ndarray, steps: int, progress: Progress | None) -> float:
        """Return the share of `weight` whose image, of the `taught` realizations but a group, predicts the group best."""
        held = taught & (groups_of(self.seed, self.count) == VALIDATION_GROUP)
        kept = taught & ~held
        if held.sum() < 2 or kept.sum() < 2:
            return self.weight_shares[0]
        losses = []
        for number, share in enumerate(self.weight_shares):
            part = _part(progress, number, 1, len(self.weight_shares))
            image = self._train(self._objective(share * weight * kept.sum() / taught.sum(), kept), steps, part).mean(axis=0)
            losses.append(self._missed(image, held))
        return self.weight_shares[int(np.argmin(losses))]

    def _train(self, objective: Objective, steps: int, progress: Progress | None) -> np.ndarray:
        """Return the images (S, H, W) that a new network makes of the inputs after `steps`."""
        training = self._new_training(objective)
        schedule = training.one_cycle(steps)
        for step in range(steps):
            training.step()
            schedule.step()
            tell(progress, step, steps)
        return training.predictions()

    def _live(self, progress: Progress | None) -> Estimate:
        if self._live_weight.is_due(self.count):
            problem = self._problem()
            if problem is None:
                return flat_estimate(self._store, self.shape, self.nonnegative)
            self._live_weight = self._find_live_weight(problem)
        # splits are drawn anew for each estimate: further permutations, against overfitting, at little cost
        objective = self._objective(self._live_weight.of(self.count), self._taught())
        if self._training is None:
            self._training = self._new_training(objective)
            self._training.average()
        else:
            self._training.pose(objective)
        steps = self._live_steps()
        for step in range(steps):
            self._training.step()
            tell(progress, step, steps)
        predictions = self._training.predictions()
        return self._estimate(predictions, _deviation(predictions))

    def _find_live_weight(self, problem: Problem) -> LiveWeight:
        weight = self._find_weight(problem)
        if self._given["weight"] is not None:
            return LiveWeight(weight, self.count, fixed=True)
        least = least_live_weight(problem.flattening, self.count, self.shape[0] * self.shape[1])
        return LiveWeight(self.weight_shares[0] * max(weight, least), self.count)

    def _live_steps(self) -> int:
        if self._given["live_steps"] is not None:
            return int(self._given["live_steps"])
        pixels = self.shape[0] * self.shape[1]
        return max(1, round(self.usual_live_steps * min(1.0, _USUAL_PIXELS / pixels)))

    def _tested(self) -> np.ndarray:
        """Return which realizations are kept for the quoted loss, (M,): half of those that choose no weight."""
        tested = groups_of(self.seed, self.count) == TEST_GROUP
        tested[np.flatnonzero(tested)[1::2]] = False
        return tested

    def _taught(self) -> np.ndarray:
        """Return which realizations are trained on, bool (M,)."""
        return ~self._tested()

    def _problem(self) -> Problem | None:
        """Return the problem that total variation alone would solve, or None if the data tell of a level at most."""
        taught = self.count - int(self._tested().sum())
        if taught < 2 or self.shape == (1, 1):
            return None
        kernel = MaskKernel(self.shape)
        kernel.extend(self._store.masks)
        problem = Problem(kernel, self._store, self.seed, self.nonnegative)
        return problem if problem.tells else None

    def _find_weight(self, problem: Problem) -> float:
        """Return the weight of total variation that was given, or else the best without a network."""
        given = self._given["weight"]
        if given is not None and self._given["steps"] is not None:
            return float(given)
        best = problem.choose(None)
        self._unexplained = problem.unexplained
        return float(best if given is None else given)

    def _spread(self, predictions: np.ndarray, problem: Problem, weight: float) -> np.ndarray:
        """Return the standard error (H, W) of the mean of `predictions` (S, H, W) trained with `weight`."""
        return _deviation(predictions)

    def _objective(self, weight: float, taught: np.ndarray) -> Objective:
        """Return the objective of the realizations `taught`, bool (M,)."""
        masks, buckets = self._store.masks[taught], self._store.buckets[taught]
        row = row_weights(self._store.errors[taught])
        units = Units.of(masks, buckets, row)
        inputs, targets = self._views(masks, buckets, row, units)
        return Objective(
            inputs=inputs,
            targets=targets,
            units=units,
            weight=weight / (units.masks**2 * units.contrast * len(buckets)),
            nonnegative=self.nonnegative,
        )

    def _new_training(self, objective: Objective, *, damped: bool = True) -> Training:
        import torch

        from .training import Training

        # the CPU's generator for every device, so that all begin with the same weights
        network = self._network(torch.Generator().manual_seed(self.seed))
        training = Training(network, self._given["learning_rate"], self.seed, self.device, damped=damped)
        training.pose(objective)
        return training

    def _affordable(self, objective: Objective, seconds: float, begun: float, trainings: int) -> int:
        """Return how many steps each of `trainings` may have so that all end within `seconds` from `begun` on."""
        trial = self._new_training(objective)
        trial.step()
        started = time.monotonic()
        for _ in range(_TIMED_STEPS):
            trial.step()
        # a prediction costs about a third of a step, and there is one for each input
        each = (time.monotonic() - started) / _TIMED_STEPS
        left = (seconds - (time.monotonic() - begun)) / trainings - each * len(objective.inputs) / 3
        if left < _FEWEST_STEPS * each:
            raise ValueError(
                f"time_budget_s is too short: {self.name} needs {_FEWEST_STEPS} steps of {each:.3g} s and the time to prepare "
                f"them; give {seconds + trainings * (1.1 * _FEWEST_STEPS * each - left):.1f} s or more, or use tv"
            )
        return int(left / each)

    def _estimate(self, predictions: np.ndarray, spread: np.ndarray) -> Estimate:
        image = predictions.mean(axis=0)
        tested = self._tested()
        return Estimate(
            image=image.astype(np.float32),
            spread=spread.astype(np.float32),
            heldout_loss=self._missed(image, tested) if tested.sum() > 1 else float("nan"),
            figures={"frc_resolution_px": float("nan")},
        )

    def _missed(self, image: np.ndarray, held: np.ndarray) -> float:
        """Return the error, over the variance, with which an image predicts the buckets `held`, bool (M,)."""
        values = self._store.buckets[held]
        residual = values - self._store.masks[held].astype(np.float64) @ image.reshape(-1)
        row = row_weights(self._store.errors[held])
        span = deviation(values, row)
        return deviation(residual, row) / span if span > 0 else float("nan")


class LearnedByUNet(Learned):
    """A method whose network is the U-net of Noise2Ghost."""

    usual_steps: ClassVar[int] = 400
    usual_live_steps: ClassVar[int] = 40
    defaults: ClassVar[dict[str, Any]] = {
        "weight": None,
        "steps": None,
        "live_steps": None,
        "learning_rate": 1e-2,
        "features": 24,
        "levels": 3,
    }
    least: ClassVar[dict[str, int]] = {**Learned.least, "features": 1, "levels": 0}

    def _network(self, generator: torch.Generator) -> torch.nn.Module:
        from .unet import UNet, fitting_levels

        self._chosen["levels"] = fitting_levels(self.shape, self._given["levels"])
        return UNet(self._given["features"], self._chosen["levels"], generator)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _deviation(predictions: np.ndarray) -> np.ndarray:
    """Return the standard deviation (H, W) of images (S, H, W), NaN of a single one."""
    return predictions.std(axis=0, ddof=1) if len(predictions) > 1 else np.full(predictions.shape[1:], np.nan)


def _part(progress: Progress | None, start: float, length: float, whole: float) -> Progress | None:
    """Return what to tell of a part, from `start` on and of `length`, of work of the length `whole`."""
    if progress is None:
        return None
    return lambda fraction: progress((start + fraction * length) / whole)


def tell(progress: Progress | None, step: int, steps: int) -> None:
    """Tell `progress` of every twentieth step."""
    if progress is not None and step % 20 == 0:
        progress(step / steps)
