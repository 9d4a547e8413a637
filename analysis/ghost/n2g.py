"""Noise2Ghost: a network that learns the object from the independence of the noise in different splits of the data."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .learned_by_unet import LearnedByUNet
from .masks import MaskRows
from .objective import BucketTargets, ImageTargets, Units, bucket_targets, standardised
from .splits import permutations_of, split
from .standard_error import standard_error

_SPREAD_FACTOR = 0.6
"""Factor for the deviation over the inputs for each split, because each knows much less than all together; see
`standard_error`.
"""


_MUCH_NOISE = 0.9
"""Fraction of the buckets' variance about the mean level that total variation does not predict, above which the data are
split in only two: a quarter of them then says almost nothing about the object. Above, this gains 0.5 to 0.8 dB; below, it
would cost up to 1.2 dB.
"""


class Noise2Ghost(LearnedByUNet):
    """Noise2Ghost (Manni et al. 2025), eq. 6 and 12, with a faster training than published.

    x = 1/(P K) sum_pk N(x_pk), with N trained to minimise, over sub-reconstructions x_pk = W_pk^+ y_pk,
    1/2 ||W_i N(x_pk) - y_i||^2 + weight * TV(N(x_pk)) on the realizations i that x_pk does not know.
    """

    name: ClassVar[str] = "n2g"
    summary: ClassVar[str] = "Noise2Ghost: self-supervised network trained on this scan alone"
    defaults: ClassVar[dict[str, Any]] = {**LearnedByUNet.defaults, "splits": None, "permutations": 6, "recipe": "fast"}
    whole: ClassVar[dict[str, tuple[int, int | None]]] = {
        **LearnedByUNet.whole,
        "splits": (2, 1000),
        "permutations": (1, 1000),
    }

    def _spread(self, predictions: np.ndarray) -> np.ndarray:
        factor = _SPREAD_FACTOR * self.options["splits"]
        return standard_error(super()._spread(predictions), factor, self._unexplained, self._contrast)

    def _views(
        self, masks: np.ndarray | MaskRows, buckets: np.ndarray, row: np.ndarray, units: Units, *, live: bool
    ) -> tuple[np.ndarray, BucketTargets | ImageTargets]:
        splits = self._given["splits"]
        if splits is None:
            splits = 2 if self._unexplained > _MUCH_NOISE else 4
        self._chosen["splits"] = splits = min(splits, len(buckets))
        generator = np.random.default_rng((self.seed, 2))
        parts = split(masks, buckets, splits, permutations_of(self._given["permutations"], live=live), generator)
        return standardised(parts.images, self.shape), bucket_targets(masks, buckets, parts.targets * row, units)
