"""Minimum-norm least squares, extended as realizations come."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy import linalg

from analysis.metrics import frc_resolution

from .estimate import Estimate, Progress
from .groups import BLOCK, groups_of, jackknife_spread
from .kernel import GrowingKernel, without_groups
from .reconstructor import Reconstructor
from .store import Store

_TRUST_LIMIT = 2048
"""Live estimates of more realizations than this come without figures of trust, whose cost grows with M^3."""

_ERROR_RANGE = 1e-12, 1e12
"""Errors relative to the first one; beyond it a realization counts for nothing, or is all that counts."""

_CHUNK = 512
"""Masks put into double precision at a time."""


class LeastSquares(Reconstructor):
    """The image of least norm among those that fit the buckets best, x = W^+ y (eq. 5 of Noise2Ghost for one split).

    x = W' a with (W W' + ridge) a = y; realizations with known errors are divided by them first. The
    negative values that noise makes are left as they are: the image is linear in the buckets.
    """

    name: ClassVar[str] = "least_squares"
    fast: ClassVar[bool] = True
    summary: ClassVar[str] = "minimum-norm least squares, the pseudo-inverse of the masks"
    defaults: ClassVar[dict[str, Any]] = {"ridge": 1e-6}

    def __init__(self, shape: tuple[int, int], **options: Any) -> None:
        super().__init__(shape, **options)
        ridge = self._given["ridge"]
        if isinstance(ridge, bool) or not isinstance(ridge, int | float) or not 1e-10 <= ridge <= 1e3:
            raise ValueError(f"ridge must be a number from 1e-10 to 1e3, not {ridge!r}")
        self._store = Store(self.shape[0] * self.shape[1], self.expected)
        self._kernel = GrowingKernel(float(ridge))
        self._unit = 1.0

    def _take(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None) -> None:
        if errors is not None:
            if self._count == 0:
                self._unit = errors[0]
            relative = np.clip(errors / self._unit, *_ERROR_RANGE)
            masks, buckets = (masks / relative[:, None]).astype(np.float32), buckets / relative
        self._store.append(masks, buckets, errors)
        while len(self._store) - len(self._kernel) >= BLOCK:
            known = len(self._kernel)
            self._kernel.extend(self._store.masks[known : known + BLOCK], self._store.masks[:known])

    def _live(self, progress: Progress | None) -> Estimate:
        return self._estimate(with_trust=self.count <= _TRUST_LIMIT)

    def _final(self, progress: Progress | None) -> Estimate:
        return self._estimate(with_trust=True)

    def _estimate(self, with_trust: bool) -> Estimate:
        kernel, masks, buckets = self._kernel, self._store.masks, self._store.buckets
        known = len(kernel)
        if known < len(masks):
            kernel = kernel.copy()
            kernel.extend(masks[known:], masks[:known])
        solution = linalg.cho_solve((kernel.factor, True), buckets, check_finite=False)
        image = self._image(solution[None])[0]
        nothing = Estimate(image, np.full_like(image, np.nan), float("nan"), {"frc_resolution_px": float("nan")})
        groups = groups_of(self.seed, len(masks))
        present = np.unique(groups)
        if not with_trust or len(present) < 3:
            return nothing
        inverse = kernel.inverse()
        members = [np.flatnonzero(groups == group) for group in present]
        left_out = [without_groups(inverse, solution, member) for member in members]
        spread = jackknife_spread(self._image(np.array([without for without, _ in left_out])))
        halves = [without_groups(inverse, solution, np.flatnonzero(groups % 2 == half))[0] for half in (0, 1)]
        errors = [np.sum((residual - residual.mean()) ** 2) for _, residual in left_out]
        spans = [np.sum((buckets[member] - buckets[member].mean()) ** 2) for member in members]
        return Estimate(
            image=image,
            spread=spread.astype(np.float32),
            heldout_loss=float(sum(errors) / sum(spans)) if sum(spans) > 0 else float("nan"),
            figures={"frc_resolution_px": frc_resolution(*self._image(np.array(halves)))},
        )

    def _image(self, solutions: np.ndarray) -> np.ndarray:
        """Return the images W' a, float32 (S, H, W), of kernel solutions (S, M)."""
        masks = self._store.masks
        flat = np.zeros((len(solutions), masks.shape[1]))
        # in double precision: with more realizations than pixels large coefficients cancel
        for start in range(0, len(masks), _CHUNK):
            flat += solutions[:, start : start + _CHUNK] @ masks[start : start + _CHUNK].astype(np.float64)
        return flat.reshape(-1, *self.shape).astype(np.float32)
