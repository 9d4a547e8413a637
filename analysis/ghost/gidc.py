"""Ghost imaging with a deep-image-prior constraint (GIDC)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .learned_by_unet import LearnedByUNet
from .masks import MaskRows
from .objective import BucketTargets, ImageTargets, Units, bucket_targets, standardised
from .splits import pseudo_inverse


class DeepImagePrior(LearnedByUNet):
    """GIDC (Wang et al., Light Sci. Appl. 11, 1, 2022), eq. 3 of Noise2Ghost with its U-net and training.

    x = N(r) with N trained to minimise 1/2 ||W N(r) - y||^2 + weight * TV(N(r)) and r = W^+ y, the
    least-squares image of the same realizations: noise is held off by the regularisation and by few steps alone.
    """

    name: ClassVar[str] = "gidc"
    summary: ClassVar[str] = "deep image prior: a network fitted to all realizations, with the least-squares image as its input"

    def _views(
        self, masks: np.ndarray | MaskRows, buckets: np.ndarray, row: np.ndarray, units: Units, *, live: bool
    ) -> tuple[np.ndarray, BucketTargets | ImageTargets]:
        image = pseudo_inverse(masks, buckets)
        return standardised(image[None], self.shape), bucket_targets(masks, buckets, row[None], units)
