"""Correlation, differential and normalised ghost imaging.

These images need only averages, at a constant cost per realization. Each is scaled to the object's own units: for masks whose
pixels vary independently with the variance s^2, <y w_n> - <y><w_n> = s^2 x_n. The variance used is that over realizations,
averaged over pixels. If masks or buckets do not vary, the image is flat.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from analysis.metrics import frc_resolution

from .estimate import Estimate, Progress
from .groups import BLOCK, GROUPS, jackknife_spread
from .moments import Means, Moments
from .reconstructor import Reconstructor


class _FromAverages(Reconstructor):
    """A reconstruction that needs only averages over realizations."""

    fast: ClassVar[bool] = True

    def __init__(self, shape: tuple[int, int], **options: Any) -> None:
        super().__init__(shape, **options)
        self._moments = Moments(self.shape[0] * self.shape[1], self.seed)
        self._masks: list[np.ndarray] = []
        self._buckets: list[float] = []
        self._foreseen: list[tuple[float, float]] = []

    @staticmethod
    @abstractmethod
    def _image(means: Means) -> np.ndarray:
        """Return the image (N,) in the object's units; `means.variance` is not 0."""

    def _take(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None) -> None:
        self._masks.extend(masks)
        self._buckets.extend(buckets)
        while len(self._buckets) >= BLOCK:
            block, values = np.stack(self._masks[:BLOCK]), np.array(self._buckets[:BLOCK])
            self._foresee(block, values)
            self._moments.add_block(block, values)
            del self._masks[:BLOCK], self._buckets[:BLOCK]

    def _foresee(self, masks: np.ndarray, buckets: np.ndarray) -> None:
        """Predict a block's buckets from the realizations before it, and add up the squared error and the variance."""
        means = Means(self._moments, np.arange(GROUPS))
        if means.count:
            residual = buckets - masks.astype(np.float64) @ self._flat_or_image(means)
            self._foreseen.append((float(np.var(residual)), float(np.var(buckets))))

    def _flat_or_image(self, means: Means) -> np.ndarray:
        if means.variance == 0.0:
            return np.full(means.w.shape, means.level)
        return self._image(means)

    def _final(self, progress: Progress | None) -> Estimate:
        moments = self._moments
        if self._buckets:
            moments = moments.copy()
            moments.add_block(np.stack(self._masks), np.array(self._buckets))
        everything = np.arange(GROUPS)
        held = everything[moments.alone[0] > 0]
        image = self._flat_or_image(Means(moments, everything))
        without = [self._flat_or_image(Means(moments, np.delete(everything, group))) for group in held]
        spread = jackknife_spread(np.array(without)) if len(held) > 2 else np.full(image.shape, np.nan)
        even, odd = (self._flat_or_image(Means(moments, everything[half::2])).reshape(self.shape) for half in (0, 1))
        recent = np.array(self._foreseen[-max(1, len(self._foreseen) // 4) :]).reshape(-1, 2).sum(axis=0)
        return Estimate(
            image=image.reshape(self.shape).astype(np.float32),
            spread=spread.reshape(self.shape).astype(np.float32),
            heldout_loss=float(recent[0] / recent[1]) if recent[1] > 0 else float("nan"),
            figures={"frc_resolution_px": frc_resolution(even, odd)},
        )


class Correlation(_FromAverages):
    """Second-order correlation, G = <y w> - <y><w>, as in X-ray ghost imaging (Pelliccia et al., PRL 117, 113902, 2016)."""

    name: ClassVar[str] = "correlation"
    summary: ClassVar[str] = "second-order correlation of buckets and masks"

    @staticmethod
    def _image(means: Means) -> np.ndarray:
        return (means.yw - means.y * means.w) / means.variance


class Differential(_FromAverages):
    """Differential ghost imaging, G = <y w> - (<y> / <R>) <R w> (Ferri et al., PRL 104, 253603, 2010).

    The ratio <y> / <R> is replaced by its least-squares value <y R> / <R^2>, which is the same for masks with equal sums, and
    stays defined for masks of both signs. G is the deviation from the mean level, which is added.
    """

    name: ClassVar[str] = "differential"
    summary: ClassVar[str] = "correlation with the part that follows the mask's total transmission taken off"

    @staticmethod
    def _image(means: Means) -> np.ndarray:
        return means.level + (means.yw - means.level * means.Rw) / means.variance


class Normalised(_FromAverages):
    """Normalised ghost imaging, G = <(y / R) w> - <y / R> <w> (after Sun et al., Opt. Express 20, 16892, 2012).

    G is the deviation from the mean level over <R>; the mean level is added. Dark masks (R = 0) carry no information and
    count as y / R = 0.
    """

    name: ClassVar[str] = "normalised"
    summary: ClassVar[str] = "correlation of buckets divided by the mask's total transmission"

    def _check(self, masks: np.ndarray) -> None:
        if len(masks) and masks.min() < 0:
            raise ValueError(
                "normalised ghost imaging divides by each mask's sum and needs masks that are nowhere negative; "
                "use differential or least_squares"
            )

    @staticmethod
    def _image(means: Means) -> np.ndarray:
        return means.level + means.R * (means.ratio_w - means.ratio * means.w) / means.variance
