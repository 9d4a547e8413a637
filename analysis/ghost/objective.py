"""The training objective of a network: eq. 3, 6 and 11 of Noise2Ghost in units of order 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .masks import MaskRows, spread_of, sums_of


@dataclass(frozen=True, eq=False)
class Units:
    """Scales that make masks, residuals and images of order 1.

    Attributes
    ----------
    masks : float
        Divisor of the masks; for an image of contrast 1, the buckets of random masks then vary by 1.
    contrast : float
        Estimated standard deviation of the object; images are multiples of it.
    level : float
        Estimated mean of the object over its contrast.
    """

    masks: float
    contrast: float
    level: float

    @classmethod
    def of(cls, masks: np.ndarray | MaskRows, buckets: np.ndarray, row: np.ndarray) -> Units:
        """Return the units for masks (M, N), buckets (M,) and row weights (M,) of mean 1."""
        sums = sums_of(masks)
        lit = float((row * sums) @ sums)
        level = float((row * sums) @ buckets) / lit if lit > 0 else 0.0
        # the realizations outside the test group may all be alike though not all are; any scale will do then
        scale = float(np.sqrt(spread_of(masks) * masks.shape[1])) or 1.0
        residual = buckets - level * sums
        # an object without any contrast still has a magnitude
        contrast = max(float(np.sqrt(row @ residual**2 / row.sum())) / scale, 1e-3 * abs(level)) or 1.0
        return cls(masks=scale, contrast=contrast, level=level / contrast)


@dataclass(frozen=True, eq=False)
class BucketTargets:
    """Buckets that the network's images are to predict.

    Attributes
    ----------
    masks : (M, N)
    buckets : (M,)
    rows : (S, M)
        Weight of each realization as a target of each input; 0 if the input contains it.
    """

    masks: np.ndarray | MaskRows
    buckets: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True, eq=False)
class ImageTargets:
    """Images that the network's images should match, one for each input.

    Attributes
    ----------
    images : (S, H, W)
    """

    images: np.ndarray


@dataclass(frozen=True, eq=False)
class Objective:
    """Inputs, targets and regularisation of a network, in the given units.

    Attributes
    ----------
    inputs : (S, channels, H, W)
        Inputs of the network: S differently degraded views of one object.
    targets : BucketTargets or ImageTargets
    units : Units
    weight : float
        Weight of total variation for one realization.
    nonnegative : bool
    """

    inputs: np.ndarray
    targets: BucketTargets | ImageTargets
    units: Units
    weight: float
    nonnegative: bool


def bucket_targets(masks: np.ndarray | MaskRows, buckets: np.ndarray, rows: np.ndarray, units: Units) -> BucketTargets:
    """Return masks (M, N) and buckets (M,) in `units` as targets with the weights `rows` (S, M)."""
    return BucketTargets(masks / units.masks, buckets / (units.masks * units.contrast), rows)


def standardised(images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return images (S, N) as inputs (S, 1, H, W) of mean 0 and standard deviation 1 over all of them."""
    deviations = images - images.mean()
    return (deviations / max(float(deviations.std()), 1e-300)).reshape(-1, 1, *shape)
