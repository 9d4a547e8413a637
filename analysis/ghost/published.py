"""Noise2Ghost trained as its authors published it, for comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .estimate import Progress, tell
from .groups import groups_of
from .n2g import Noise2Ghost
from .objective import Objective
from .problem import Problem

if TYPE_CHECKING:
    from .training import Training

_VALIDATION_SHARE = 0.1
_WEIGHT_MULTIPLES = (2.0, 16.0)
"""Multiples of the weight that is best without a network. Programmed rods were best with twice that weight on 48x48 and 64x64
pixels, and with 2 to 40 times that weight on 32x32; with less than total variation needs, the network overfits.
"""

_CHOOSING_GROUP = 6
_EPOCHS_PER_TRIAL_EPOCH = 5
_MOST_PARTS = 8


class PublishedNoise2Ghost(Noise2Ghost):
    """Noise2Ghost as in the authors' paper and code: 3000 epochs of AdamW at 2e-4, no damping, no non-negativity.

    A tenth of the realizations chooses the epoch whose image counts; the others are used for training. None is kept for a
    quoted loss, and there is no spread. Finally the image is given the scale and the offset that fit all buckets best. This
    recipe is far slower than the fast one.

    The authors cross-validate the weight with a full training for each candidate. Here each candidate, a multiple of the
    weight that cross-validation finds without a network, is trained for a fifth of the epochs.
    """

    defaults: ClassVar[dict[str, Any]] = {
        **Noise2Ghost.defaults,
        "steps": 3000,
        "learning_rate": 2e-4,
        "splits": 4,
        "permutations": 6,
        "recipe": "published",
        "smooth_rest": False,
    }
    weight_share: ClassVar[float] = 1.0

    def limit_time(self, seconds: float) -> None:
        """Refuse: the number of epochs is fixed."""
        raise ValueError("the published recipe takes no time_budget_s: its number of steps is fixed; use recipe fast")

    def _tested(self) -> np.ndarray:
        return np.zeros(self.count, dtype=bool)

    def _taught(self) -> np.ndarray:
        taught = np.ones(self.count, dtype=bool)
        number = round(_VALIDATION_SHARE * self.count)
        # one realization alone says nothing when the constant level is left out
        if number >= 2:
            taught[np.random.default_rng((self.seed, 3)).permutation(self.count)[:number]] = False
        return taught

    def _find_weight(self, problem: Problem) -> float:
        weight = super()._find_weight(problem)
        return weight if self._given["weight"] is not None else self._best_multiple(weight) * weight

    def _best_multiple(self, weight: float) -> float:
        """Return the multiple of `weight` whose image, trained without one group, predicts that group best."""
        taught = self._taught()
        held = taught & (groups_of(self.seed, self.count) == _CHOOSING_GROUP)
        kept = taught & ~held
        if held.sum() < 2 or kept.sum() < 2:
            return _WEIGHT_MULTIPLES[0]
        epochs = -(-self._given["steps"] // _EPOCHS_PER_TRIAL_EPOCH)
        losses = []
        for multiple in _WEIGHT_MULTIPLES:
            objective = self._objective(multiple * weight * kept.sum() / taught.sum(), kept)
            losses.append(self._missed(self._train(objective, epochs, None).mean(axis=0), held))
        return _WEIGHT_MULTIPLES[int(np.argmin(losses))]

    def _train(self, objective: Objective, steps: int, progress: Progress | None) -> np.ndarray:
        training = self._new_training(replace(objective, nonnegative=False), damped=False)
        held = ~self._taught()
        error = partial(self._missed, held=held) if held.any() else None
        images = best_epoch(training, len(objective.inputs), steps, error, progress)
        everything = np.ones(self.count, dtype=bool)
        predicted, sums = (self._predicted(image, everything) for image in (images.mean(axis=0), np.ones(self.shape)))
        scale, offset = scale_and_offset(predicted, sums, self._store.buckets)
        return scale * images + offset

    def _spread(self, predictions: np.ndarray) -> np.ndarray:
        return np.full(self.shape, np.nan)


_KINDS: dict[str, type[Noise2Ghost]] = {"fast": Noise2Ghost, "published": PublishedNoise2Ghost}


def noise2ghost(shape: tuple[int, int], *, recipe: str = "fast", **options: Any) -> Noise2Ghost:
    """Return the reconstructor that trains by the named recipe, "fast" or "published"."""
    if not isinstance(recipe, str) or recipe not in _KINDS:
        raise ValueError(f"recipe must be one of {', '.join(_KINDS)}, not {recipe!r}")
    return _KINDS[recipe](shape, **options)


def best_epoch(
    training: Training,
    inputs: int,
    epochs: int,
    error: Callable[[np.ndarray], float] | None,
    progress: Progress | None,
) -> np.ndarray:
    """Return the images (S, H, W) of the epoch whose mean image has the least error; of the last one without `error`.

    Each epoch trains on every input once, in parts: eight parts at first, all inputs at once in the second half. The paper
    does not mention this, but the authors' code does it; with all inputs at once from the start, an image of 32x32 pixels was
    1.4 dB worse. The optimiser is reset whenever the number of parts changes.
    """
    parts = 0
    least, best = np.inf, np.empty(0)
    for epoch in range(epochs):
        if parts != (parts := parts_of(epoch, epochs, inputs)):
            training.restart()
        images = training.epoch(parts)
        missed = 0.0 if error is None else error(images.mean(axis=0))
        if error is None or missed < least or not len(best):
            least, best = missed, images
        tell(progress, epoch, epochs)
    return best


def parts_of(epoch: int, epochs: int, inputs: int) -> int:
    """Return the number of parts of the inputs: as often as the epochs so far can be doubled before the last one."""
    doublings = int(np.ceil(np.log2(epochs / max(epoch, 1))))
    return max(1, min(doublings, inputs, _MOST_PARTS))


def scale_and_offset(predicted: np.ndarray, sums: np.ndarray, buckets: np.ndarray) -> tuple[float, float]:
    """Return the scale and the offset of an image for which its `predicted` buckets best fit the measured ones.

    All are (M,); `sums` are the sums of the masks' pixels, that is, the buckets of an image of ones.
    """
    (scale, offset), *_ = np.linalg.lstsq(np.column_stack([predicted, sums]), buckets, rcond=None)
    return float(scale), float(offset)
