"""Noise2Inverse: a network that predicts the sub-reconstructions of one part of the data from those of another."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .learned_by_unet import LearnedByUNet
from .masks import MaskRows
from .objective import BucketTargets, ImageTargets, Units, standardised
from .splits import permutations_of, split


class Noise2Inverse(LearnedByUNet):
    """Noise2Inverse (Hendriksen et al., IEEE TCI 6, 1320, 2020) as in eq. 11 of Noise2Ghost, for comparison.

    x = 1/(P K) sum_pk N(x_pk), with N trained to minimise ||N(x_pk) - 1/(K-1) sum_(i != k) x_pi||^2 for the
    sub-reconstructions x_pk = W_pk^+ y_pk. There is no other regularisation unless a weight of total variation is given. The
    targets lack what their realizations do not measure, so with few realizations the contrast is too low. Errors of the
    buckets affect only the level.
    """

    name: ClassVar[str] = "n2i"
    summary: ClassVar[str] = "Noise2Inverse: network trained to turn least-squares images of parts of the scan into each other"
    defaults: ClassVar[dict[str, Any]] = {
        **LearnedByUNet.defaults,
        "weight": 0.0,
        "splits": 4,
        "permutations": 6,
        # otherwise nearly all of its image would be the smooth rest
        "smooth_rest": False,
    }
    whole: ClassVar[dict[str, tuple[int, int | None]]] = {
        **LearnedByUNet.whole,
        "splits": (2, 1000),
        "permutations": (1, 1000),
    }

    def _views(
        self, masks: np.ndarray | MaskRows, buckets: np.ndarray, row: np.ndarray, units: Units, *, live: bool
    ) -> tuple[np.ndarray, BucketTargets | ImageTargets]:
        self._chosen["splits"] = splits = min(self._given["splits"], len(buckets))
        permutations = permutations_of(self._given["permutations"], live=live)
        images = split(masks, buckets, splits, permutations, np.random.default_rng((self.seed, 2))).images
        tuples = images.reshape(-1, splits, *self.shape) / units.contrast
        others = (tuples.sum(axis=1, keepdims=True) - tuples) / (splits - 1)
        return standardised(images, self.shape), ImageTargets(others.reshape(-1, *self.shape))
