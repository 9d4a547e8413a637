"""Minimum-norm least squares, extended as realizations arrive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from scipy import linalg

from analysis.metrics import frc_resolution

from .conjugate_gradients import least_squares_images
from .estimate import Estimate, Progress
from .groups import BLOCK, groups_of, jackknife_spread
from .inputs import is_number
from .kernel import GrowingKernel, mean_of_lit, without_groups
from .problem import deviation, row_weights
from .reconstructor import Reconstructor
from .store import Store

_ERROR_RANGE = 1e-12, 1e12
"""Errors relative to the first one; outside this range a realization counts for nothing, or is the only one that counts."""

_CHUNK = 512
"""Masks converted to double precision at a time."""

_LIVE_ENTRIES = 4 * 10**8
"""Live iterations of large problems may read this many entries of masks, which takes a fraction of a second."""


class LeastSquares(Reconstructor):
    """The image of least norm among those that fit the buckets best, x = W^+ y (eq. 5 of Noise2Ghost for one split).

    x = W' a with (W W' + ridge) a = y; realizations with known errors are divided by them first. Negative values caused by
    noise are kept: the image is linear in the buckets. Large problems are solved by conjugate gradients; during the scan, by
    a few iterations from the previous image.
    """

    name: ClassVar[str] = "least_squares"
    fast: ClassVar[bool] = True
    summary: ClassVar[str] = "minimum-norm least squares, the pseudo-inverse of the masks"
    defaults: ClassVar[dict[str, Any]] = {"ridge": 1e-6}

    def __init__(self, shape: tuple[int, int], **options: Any) -> None:
        super().__init__(shape, **options)
        ridge = self._given["ridge"]
        if not (is_number(ridge) and 1e-10 <= ridge <= 1e3):
            raise ValueError(f"ridge must be a number from 1e-10 to 1e3, not {ridge!r}")
        self._store = Store(self.shape[0] * self.shape[1], self.expected)
        self._ridge = float(ridge)
        self._kernel = GrowingKernel(self._ridge)
        self._last: np.ndarray | None = None

    def _take(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None) -> None:
        self._store.append(masks, buckets, errors)

    def _live(self, progress: Progress | None) -> Estimate:
        if not self._store.is_large:
            return self._directly()
        start = None if self._last is None else self._last.reshape(1, -1).astype(np.float64)
        iterations = max(1, _LIVE_ENTRIES // (self.count * self._store.matrix.pixels))
        self._last = self._iterated(np.ones((1, self.count)), start=start, iterations=iterations)[0]
        return self._estimate(self._last)

    def _final(self, progress: Progress | None) -> Estimate:
        return self._iteratively() if self._store.is_large else self._directly()

    def _directly(self) -> Estimate:
        """Return the estimate from the factor of the kernel."""
        masks, buckets = self._scaled(), self._store.buckets / self._relative
        for known in range(len(self._kernel), self.count - BLOCK + 1, BLOCK):
            self._kernel.extend(masks[known : known + BLOCK], masks[:known])
        kernel, known = self._kernel, len(self._kernel)
        if known < self.count:
            kernel = kernel.copy()
            kernel.extend(masks[known:], masks[:known])
        solution = linalg.cho_solve((kernel.factor, True), buckets, check_finite=False)
        image = self._images(masks, solution[None])[0]
        members, halves = self._members()
        if len(members) < 3:
            return self._estimate(image)
        inverse = kernel.inverse()
        left_out = [without_groups(inverse, solution, member) for member in members]
        without_half = [without_groups(inverse, solution, half)[0] for half in halves]
        return self._estimate(
            image,
            self._images(masks, np.array([without for without, _ in left_out])),
            [(member, residual * self._relative[member]) for (_, residual), member in zip(left_out, members, strict=True)],
            self._images(masks, np.array(without_half)),
        )

    def _iteratively(self) -> Estimate:
        """Return the estimate from conjugate gradients."""
        members, halves = self._members()
        if len(members) < 3:
            return self._estimate(self._iterated(np.ones((1, self.count)))[0])
        rows = np.ones((1 + len(members) + len(halves), self.count))
        for column, left in enumerate([*members, *halves], start=1):
            rows[column, left] = 0.0
        images = self._iterated(rows)
        predicted = self._store.matrix.forward(images[1:-2].reshape(len(members), -1))
        buckets = self._store.buckets
        left_out = [(member, buckets[member] - one[member]) for one, member in zip(predicted, members, strict=True)]
        return self._estimate(images[0], images[1:-2], left_out, images[-2:])

    def _members(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the realizations of each non-empty group, and of each half."""
        groups = groups_of(self.seed, self.count)
        members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
        return members, [np.flatnonzero(groups % 2 == half) for half in (0, 1)]

    def _estimate(
        self,
        image: np.ndarray,
        without: np.ndarray | None = None,
        left_out: Sequence[tuple[np.ndarray, np.ndarray]] = (),
        halves: np.ndarray | None = None,
    ) -> Estimate:
        """Return the estimate, with figures of reliability from images without each group, their residuals in it, and halves."""
        if without is None or halves is None:
            return Estimate(image, np.full_like(image, np.nan), float("nan"), {"frc_resolution_px": float("nan")})
        row, buckets = row_weights(self._store.errors), self._store.buckets
        errors = [deviation(residual, row[member]) for member, residual in left_out]
        spans = [deviation(buckets[member], row[member]) for member, _ in left_out]
        return Estimate(
            image=image,
            spread=jackknife_spread(without).astype(np.float32),
            heldout_loss=float(sum(errors) / sum(spans)) if sum(spans) > 0 else float("nan"),
            figures={"frc_resolution_px": frc_resolution(*halves)},
        )

    @property
    def _relative(self) -> np.ndarray:
        """Errors of the buckets relative to the first, (M,)."""
        return np.clip(self._store.errors / self._store.errors[0], *_ERROR_RANGE)

    def _scaled(self) -> np.ndarray:
        """Return the masks over their relative errors, float32 (M, N)."""
        masks = self._store.matrix.dense()
        return np.divide(masks, self._relative[:, None], out=masks, casting="same_kind")

    def _images(self, masks: np.ndarray, solutions: np.ndarray) -> np.ndarray:
        """Return the images W' a, float32 (S, H, W), of kernel solutions (S, M)."""
        flat = np.zeros((len(solutions), masks.shape[1]))
        # in double precision: with more realizations than pixels, large coefficients cancel
        for start in range(0, len(masks), _CHUNK):
            flat += solutions[:, start : start + _CHUNK] @ masks[start : start + _CHUNK].astype(np.float64)
        return flat.reshape(-1, *self.shape).astype(np.float32)

    def _iterated(self, rows: np.ndarray, **options: Any) -> np.ndarray:
        """Return the images, float32 (S, H, W), from the realizations weighted by `rows` (S, M)."""
        precision = self._relative**-2
        ridge = self._ridge * mean_of_lit(self._store.matrix.squares * precision)
        images = least_squares_images(self._store.matrix, self._store.buckets, rows * precision, ridge, **options)
        return images.reshape(-1, *self.shape).astype(np.float32)
