"""Noise2Ghost: a network that learns the object from the noise's independence between splits of the data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from .estimate import Progress
from .groups import groups_of
from .learned import VALIDATION_GROUP, LearnedByUNet, tell
from .objective import BucketTargets, ImageTargets, Objective, Units, bucket_targets, standardised
from .splits import split
from .standard_error import standard_error

_RECIPES: dict[str, dict[str, Any]] = {"fast": {}, "published": {"steps": 3000, "learning_rate": 2e-4, "splits": 4}}
"""What each recipe changes of the defaults."""

_SPREAD_FACTOR = 0.6
"""Of the deviation over the inputs for each split, as each knows so much less than all of them; see `standard_error`."""


_MUCH_NOISE = 0.9
"""Part of the buckets' variance about the mean level that total variation doesn't predict, above which the data are split in two
only: a quarter of them then tells next to nothing of the object. Worth 0.5 to 0.8 dB above, and costs up to 1.2 dB below."""


class Noise2Ghost(LearnedByUNet):
    """Noise2Ghost (Manni et al. 2025), eq. 6 and 12, with a faster training than published.

    x = 1/(P K) sum_pk N(x_pk), with N trained to minimise, over sub-reconstructions x_pk = W_pk^+ y_pk,
    1/2 ||W_i N(x_pk) - y_i||^2 + weight * TV(N(x_pk)) on the realizations i that x_pk does not know.

    The recipe "published" trains as the authors do: all x_pk at once, 3000 epochs at a constant learning rate, neither damping
    nor non-negativity, the images of the epoch that predicts an eighth of the realizations best which it was not trained on.
    It is for comparison, and far slower.
    """

    name: ClassVar[str] = "n2g"
    summary: ClassVar[str] = "Noise2Ghost: self-supervised network trained on this scan alone"
    defaults: ClassVar[dict[str, Any]] = {**LearnedByUNet.defaults, "splits": None, "permutations": 6, "recipe": "fast"}
    least: ClassVar[dict[str, int]] = {**LearnedByUNet.least, "splits": 2, "permutations": 1}

    def __init__(self, shape: tuple[int, int], **options: Any) -> None:
        recipe = options.get("recipe", "fast")
        if not isinstance(recipe, str) or recipe not in _RECIPES:
            raise ValueError(f"recipe must be one of {', '.join(_RECIPES)}, not {recipe!r}")
        self._published = recipe == "published"
        super().__init__(shape, **{**_RECIPES[recipe], **options})

    def limit_time(self, seconds: float) -> None:
        """Ask that `finish` take no longer than this; refused by the published recipe, whose epochs are fixed."""
        if self._published:
            raise ValueError("the published recipe takes no time_budget_s: its number of steps is fixed; use recipe fast")
        super().limit_time(seconds)

    def _taught(self) -> np.ndarray:
        return super()._taught() & ~self._validated()

    def _validated(self) -> np.ndarray:
        """Return which realizations choose the epoch, bool (M,)."""
        groups = groups_of(self.seed, self.count)
        held = groups == VALIDATION_GROUP
        # of a few realizations none can be spared
        return held if self._published and held.sum() >= 2 and (~held).sum() > 4 else np.zeros(len(groups), dtype=bool)

    def _train(self, objective: Objective, steps: int, progress: Progress | None) -> np.ndarray:
        if not self._published:
            return super()._train(objective, steps, progress)
        training = self._new_training(replace(objective, nonnegative=False), damped=False)
        held = self._validated()
        least, best = np.inf, np.empty(0)
        for step in range(steps):
            images = training.step_on_all()
            loss = self._missed(images.mean(axis=0), held) if held.any() else 0.0
            # without realizations to choose by, the last epoch counts
            if not len(best) or not held.any() or loss < least:
                least, best = loss, images
            tell(progress, step, steps)
        return best

    def _spread(self, predictions: np.ndarray) -> np.ndarray:
        factor = _SPREAD_FACTOR * self.options["splits"]
        return standard_error(super()._spread(predictions), factor, self._unexplained, self._contrast)

    def _views(
        self, masks: np.ndarray, buckets: np.ndarray, row: np.ndarray, units: Units
    ) -> tuple[np.ndarray, BucketTargets | ImageTargets]:
        splits = self._given["splits"]
        if splits is None:
            self._chosen["splits"] = splits = 2 if self._unexplained > _MUCH_NOISE else 4
        generator = np.random.default_rng((self.seed, 2))
        parts = split(masks, buckets, min(splits, len(buckets)), self._given["permutations"], generator)
        return standardised(parts.images, self.shape), bucket_targets(masks, buckets, parts.targets * row, units)
