"""The common parts of the methods that train a network on one scan: options, weight, schedule, budget, estimate."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .estimate import Estimate, Progress, tell
from .groups import groups_of
from .inputs import LARGEST_SEED, is_number
from .live_weight import LiveWeight
from .masks import MaskRows
from .objective import BucketTargets, ImageTargets, Objective, Units
from .problem import TEST_GROUP, Problem, deviation, flat_estimate, row_weights
from .reconstructor import Reconstructor, TimeBudgetTooShort
from .smooth_field import SmoothField
from .store import Store

if TYPE_CHECKING:
    import torch

    from .live_training import LiveTraining
    from .training import Training

_RATES = (1.0, 0.5, 0.25)
"""Learning rates of the cycles, relative to that of the first."""

_AGREES = 0.9
"""A further cycle counts if it reduces the variance between the network's images of its different inputs below this fraction
of its previous value; for a cycle of another length, in proportion. Of 20 cycles on programmed objects, including masks with
errors of 2 and 5 %, twelve counted: eleven of these gained 0.2 to 3.5 dB and one lost 0.2 dB. The others gained at most 0.1
dB and lost up to 2 dB, because the network had begun to learn noise.
"""

_AGREES_MUCH = 0.8
"""A third cycle is tried if the second reduced the variance below this fraction. Of fifteen third cycles after such a second
cycle on programmed objects, ten counted and gained 0.2 to 1.3 dB; after nine second cycles with a smaller reduction, none
would have counted.
"""

_VERY_LITTLE_NOISE = 0.1
"""Fraction of the buckets' variance about the mean level that total variation does not predict, up to which the second cycle
is as long as the first. Above it, the second cycle is half as long, and the rest is used for the third: on fourteen
programmed objects with a fraction of 0.095 to 0.134, networks trained for 730 steps instead of 1060 on average, and images
were 0.1 dB worse.
"""

_FAINT = 0.5
"""Fraction of the buckets' variance about the mean level that total variation does not predict, below which live estimates
omit the smooth rest: for fractions up to 0.7 it gained at most 0.02 dB on programmed objects, and it takes a tenth of the
time.
"""

_BY_CHANCE = 6.0
"""If the number of realizations times the fraction of their variance that total variation predicts is below this value, the
prediction may be due to chance. The weight is then at least the one that is best without a network. On fourteen programmed
scans this gained n2g 0.5 dB on average and cost at most 0.2 dB; for buckets shuffled against their masks, in images of 16 to
48 pixels, the images had a third of the contrast. It is not applied while a scan is running: a network that began with flat
images finished 0.9 dB worse on a texture, which total variation predicts late.
"""

_FEWEST_STEPS = 50
_TIMED_STEPS = 8


class Learned(Reconstructor):
    """A network trained on the present scan; the image is the mean of the network's outputs for its inputs.

    Training uses one input per step, a one-cycle schedule of the learning rate, damping of the residual's constant direction,
    non-negativity by a softplus about the mean level, and total variation. One realization in sixteen is used only for the
    quoted loss. The weight, if not given, is a fraction of the one that cross-validation finds for total variation without a
    network.

    If there is little noise, up to two further cycles follow at lower rates, as long as they make the network's images of its
    different inputs agree better; with a single input, both follow. The reason for stopping is that a network that trains
    longer also fits noise, and the errors of masks that differ from their description.

    If the noise is so high that the weight makes the image nearly flat, most of a smooth object is left in the residuals.
    With `smooth_rest` the expected random field in the residuals is added (see `SmoothField`); it vanishes if the residuals
    are noise.
    """

    fast: ClassVar[bool] = False
    little_noise: ClassVar[float] = 0.15
    """Fraction of the buckets' variance about the mean level that total variation does not predict, below which further
    cycles are tried. It consists of noise, and of what total variation misses even without noise: about 0.13 on objects with
    fine detail. At 0.17 to 0.27 a second cycle lost 0.2 to 0.4 dB on programmed objects.
    """

    weight_share: ClassVar[float] = 0.5
    """Fraction of the weight of total variation that is best without a network; the network itself smooths too. In trials
    with n2g the best of 0.25, 0.5, 1 and 2 for each object was better than this by 0.2 dB on average; 0.25 overfits at very
    high noise and 1 blurs.
    """

    live_warm_up: ClassVar[int]
    """Steps during which the learning rate of a network for live estimates rises."""

    usual_steps: ClassVar[int]
    """Steps of the first cycle of the learning rate, and of most others; see `_cycle_lengths`."""

    defaults: ClassVar[dict[str, Any]] = {"weight": None, "steps": None, "live_steps": 14, "smooth_rest": True}
    whole: ClassVar[dict[str, tuple[int, int | None]]] = {"steps": (1, 10**6), "live_steps": (1, 10**4)}
    """The integer options, with their smallest and largest values (None: limited to what suits the data); None, if it is the
    default, is also allowed. The largest values are far above what any image needs: a start document must not request days of
    work, or more memory than there is.
    """

    def __init__(self, shape: tuple[int, int], **options: Any) -> None:
        super().__init__(shape, **options)
        self._check_options()
        self._store = Store(self.shape[0] * self.shape[1], self.expected)
        self._live_training: LiveTraining | None = None
        self._seconds: float | None = None
        self._live_weight = LiveWeight(self.shape, self.seed, self.nonnegative)
        self._unexplained, self._contrast = 0.4, 0.0

    def _check_options(self) -> None:
        given = self._given
        for name, (least, most) in self.whole.items():
            value = given[name]
            if value is None and self.defaults[name] is None:
                continue
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or value < least or (most is not None and value > most):
                upper = "" if most is None else f" to {most}"
                raise ValueError(f"{name} must be a whole number from {least}{upper}, not {value!r}")
        rate, weight = given["learning_rate"], given["weight"]
        if not (is_number(rate) and 0 < rate < 1):
            raise ValueError(f"learning_rate must be a number between 0 and 1, not {rate!r}")
        if weight is not None and not (is_number(weight) and 0 <= weight < np.inf):
            raise ValueError(f"weight must be a number from 0, or None to have it chosen, not {weight!r}")
        if not isinstance(given["smooth_rest"], bool):
            raise ValueError(f"smooth_rest must be true or false, not {given['smooth_rest']!r}")

    @abstractmethod
    def _network(self, generator: torch.Generator) -> torch.nn.Module:
        """Return a new network with initial weights drawn from `generator`."""

    @abstractmethod
    def _views(
        self, masks: np.ndarray | MaskRows, buckets: np.ndarray, row: np.ndarray, units: Units, *, live: bool
    ) -> tuple[np.ndarray, BucketTargets | ImageTargets]:
        """Return inputs (S, channels, H, W) and targets for masks (M, N), buckets (M,) and row weights (M,).

        A live estimate may have fewer, because each estimate uses different ones.
        """

    def _take(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None) -> None:
        self._store.append(masks, buckets, errors)

    def limit_time(self, seconds: float) -> None:
        """Ask that `finish` take no longer than this: it then measures its first steps and does as many as fit."""
        super().limit_time(seconds)
        self._seconds = seconds if seconds < np.inf else None

    def _final(self, progress: Progress | None) -> Estimate:
        started = time.monotonic()
        problem = self._problem()
        if problem is None:
            return flat_estimate(self._store, self.shape, self.nonnegative)
        weight = self._find_weight(problem)
        self._chosen["weight"] = weight
        rest = self._rest()
        objective = self._objective(weight, self._taught())
        given = self._given["steps"]
        cycles = self._cycle_lengths() if self._unexplained < self.little_noise else [self.usual_steps]
        most = sum(cycles) if given is None else int(given)
        if self._seconds is not None:
            most = min(most, self._affordable(objective, rest, self._seconds, started))
        if given is None:
            predictions, steps = self._train_while_it_learns(objective, _within(cycles, most), progress)
        else:
            predictions, steps = self._train(objective, most, progress), most
        self._chosen["steps"] = steps
        return self._estimate(predictions, rest)

    def _cycle_lengths(self) -> list[int]:
        """Return the number of steps of each cycle, if all cycles are run."""
        halved = _VERY_LITTLE_NOISE <= self._unexplained < self.little_noise
        second = self.usual_steps // 2 if halved else self.usual_steps
        return [self.usual_steps, second, 2 * self.usual_steps - second]

    def _train(self, objective: Objective, steps: int, progress: Progress | None) -> np.ndarray:
        """Return the images (S, H, W) of a new network after `steps`; the last cycle takes the remaining steps."""
        *first, _ = self._cycle_lengths()
        *_, (images, _) = self._cycles(objective, _within([*first, steps], steps), progress)
        return images

    def _train_while_it_learns(
        self, objective: Objective, lengths: list[int], progress: Progress | None
    ) -> tuple[np.ndarray, int]:
        """Return the images (S, H, W) after the last cycle that counts, and the steps until then; `lengths` are the cycles'."""
        cycles = self._cycles(objective, lengths, progress)
        images, steps = next(cycles)
        for later, done in cycles:
            before, after = images.var(axis=0).mean(), later.var(axis=0).mean()
            enough = 1 - (1 - _AGREES) * (done - steps) / self.usual_steps
            if after > enough * before:
                break
            images, steps = later, done
            if after > _AGREES_MUCH * before:
                break
        return images, steps

    def _cycles(self, objective: Objective, lengths: list[int], progress: Progress | None) -> Iterator[tuple[np.ndarray, int]]:
        """Train a new network in cycles of these lengths; yield the images (S, H, W) after each, and the steps done so far."""
        training = self._new_training(objective)
        done = 0
        for length, rate in zip(lengths, _RATES, strict=False):
            schedule = training.one_cycle(length, rate)
            for step in range(done, done + length):
                training.step()
                schedule.step()
                tell(progress, step, sum(lengths))
            done += length
            yield training.predictions(), done

    def _live(self, progress: Progress | None) -> Estimate:
        if not self._can_tell():
            return flat_estimate(self._store, self.shape, self.nonnegative)
        problem = self._live_weight.follow(self._store)
        if problem is not None:
            if not problem.tells:
                return flat_estimate(self._store, self.shape, self.nonnegative)
            self._unexplained, self._contrast = problem.unexplained, problem.contrast
        weight = self._given_or(self.weight_share * self._live_weight.of(self.count))
        if self._live_training is None:
            from .live_training import LiveTraining

            self._live_training = LiveTraining(self._begun, self.live_warm_up, self._given["live_steps"])
        images = self._live_training.images(
            lambda: self._objective(weight, self._taught(), live=True), self.count, self.expected, self._unexplained, progress
        )
        rest = self._rest() if self._unexplained > _FAINT else None
        return self._estimate(images, rest)

    def _tested(self) -> np.ndarray:
        """Return which realizations are kept for the quoted loss, (M,): half of those that are not used to choose the weight."""
        tested = groups_of(self.seed, self.count) == TEST_GROUP
        tested[np.flatnonzero(tested)[1::2]] = False
        return tested

    def _taught(self) -> np.ndarray:
        """Return which realizations are used for training, bool (M,)."""
        return ~self._tested()

    def _can_tell(self) -> bool:
        """Return whether there are enough realizations and pixels to determine more than a level."""
        return self.shape != (1, 1) and self.count - int(self._tested().sum()) >= 2

    def _problem(self) -> Problem | None:
        """Return the problem that total variation alone would solve, or None if the data determine at most a level."""
        if not self._can_tell():
            return None
        problem = Problem(self.shape, self._store, self.seed, self.nonnegative)
        return problem if problem.tells else None

    def _find_weight(self, problem: Problem) -> float:
        """Return the weight of total variation for training on all realizations."""
        best = problem.choose(None).weight
        self._unexplained, self._contrast = problem.unexplained, problem.contrast
        by_chance = self.count * (1 - self._unexplained) < _BY_CHANCE
        return self._given_or(best * (max(self.weight_share, 1.0) if by_chance else self.weight_share))

    def _given_or(self, chosen: float) -> float:
        """Return the given weight of total variation, or else the chosen one."""
        return float(chosen if self._given["weight"] is None else self._given["weight"])

    def _spread(self, predictions: np.ndarray) -> np.ndarray:
        """Return the standard error (H, W) of the mean of `predictions` (S, H, W); NaN for a single one."""
        return predictions.std(axis=0, ddof=1) if len(predictions) > 1 else np.full(self.shape, np.nan)

    def _objective(self, weight: float, taught: np.ndarray, *, live: bool = False) -> Objective:
        """Return the objective for the realizations `taught`, bool (M,)."""
        masks, buckets = self._store.rows(taught), self._store.buckets[taught]
        row = row_weights(self._store.errors[taught])
        units = Units.of(masks, buckets, row)
        inputs, targets = self._views(masks, buckets, row, units, live=live)
        return Objective(
            inputs=inputs,
            targets=targets,
            units=units,
            weight=weight / (units.masks**2 * units.contrast * len(buckets)),
            nonnegative=self.nonnegative,
        )

    def _new_training(self, objective: Objective, *, damped: bool = True) -> Training:
        training = self._begun(damped=damped)
        training.pose(objective)
        return training

    def _begun(self, number: int = 0, *, damped: bool = True) -> Training:
        """Start the training of a new network, with different initial weights and order of inputs for each number."""
        import torch

        from .training import Training

        seed = (self.seed + number) % (LARGEST_SEED + 1)
        # the CPU's generator for every device, so that all start with the same weights
        network = self._network(torch.Generator().manual_seed(seed))
        return Training(network, self._given["learning_rate"], seed, self.device, damped=damped)

    def _affordable(self, objective: Objective, rest: SmoothField | None, seconds: float, begun: float) -> int:
        """Return how many steps end within `seconds` after `begun`."""
        trial = self._new_training(objective)
        trial.step()
        started = time.monotonic()
        for _ in range(_TIMED_STEPS):
            trial.step()
        each = (time.monotonic() - started) / _TIMED_STEPS
        if rest is not None:
            started = time.monotonic()
            self._with_rest(np.zeros(self.shape), rest)
            seconds -= time.monotonic() - started
        # a prediction costs about a third of a step, and there is one per input
        left = seconds - (time.monotonic() - begun) - each * len(objective.inputs) / 3
        if left < _FEWEST_STEPS * each:
            raise TimeBudgetTooShort(
                f"{self.name} needs {_FEWEST_STEPS} steps of {each:.3g} s and the time to prepare them",
                seconds + 1.1 * _FEWEST_STEPS * each - left,
            )
        return int(left / each)

    def _rest(self) -> SmoothField | None:
        """Return the function that finds the smooth rest of the training realizations, if it is used."""
        if not self._given["smooth_rest"]:
            return None
        taught = self._taught()
        return SmoothField(self._store.rows(taught), row_weights(self._store.errors[taught]), self.shape)

    def _with_rest(self, image: np.ndarray, rest: SmoothField) -> np.ndarray:
        """Return an image (H, W) plus the smooth part of its residuals."""
        taught = self._taught()
        whole = image + rest.expected(self._store.buckets[taught] - self._predicted(image, taught))
        return np.maximum(whole, 0.0) if self.nonnegative else whole

    def _estimate(self, predictions: np.ndarray, rest: SmoothField | None) -> Estimate:
        image = predictions.mean(axis=0)
        if self.nonnegative:
            # the predictions of live estimates were shifted and rounded
            image = np.maximum(image, 0.0)
        if rest is not None:
            image = self._with_rest(image, rest)
        tested = self._tested()
        return Estimate(
            image=image.astype(np.float32),
            spread=self._spread(predictions).astype(np.float32),
            heldout_loss=self._missed(image, tested) if tested.sum() > 1 else float("nan"),
            figures={"frc_resolution_px": float("nan")},
        )

    def _missed(self, image: np.ndarray, held: np.ndarray) -> float:
        """Return the error of an image's predictions of the buckets `held`, bool (M,), over their variance."""
        values = self._store.buckets[held]
        residual = values - self._predicted(image, held)
        row = row_weights(self._store.errors[held])
        span = deviation(values, row)
        return deviation(residual, row) / span if span > 0 else float("nan")

    def _predicted(self, image: np.ndarray, held: np.ndarray) -> np.ndarray:
        """Return the buckets of an image (H, W) for the masks `held`, bool (M,)."""
        masks, flat = self._store.rows(held), image.reshape(-1).astype(np.float64)
        return masks.forward(flat[None])[0] if isinstance(masks, MaskRows) else masks.astype(np.float64) @ flat


def _within(lengths: list[int], steps: int) -> list[int]:
    """Return the lengths of cycles, the last ones shortened or left out so that there are `steps` in all."""
    begins = [sum(lengths[:number]) for number in range(len(lengths))]
    return [min(length, steps - begin) for length, begin in zip(lengths, begins, strict=True) if begin < steps]
