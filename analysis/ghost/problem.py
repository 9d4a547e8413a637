"""Eq. 2 of Noise2Ghost for the present realizations: scales, the choice of the weight, and figures of reliability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.metrics import frc_resolution

from .direct_projection import DirectProjection, MaskKernel
from .estimate import Estimate, Progress
from .groups import groups_of, jackknife_spread
from .iterative_projection import IterativeProjection
from .mask_drift import MaskDrift, mask_drift
from .projection import Projection
from .standard_error import standard_error
from .store import Store
from .total_variation import State, TotalVariationSolver, flattening_weight

TEST_GROUP = 7
"""Its buckets are not used to choose the weight; the quoted loss is the one on them."""

_FOLDS = ((0, 1), (2, 3), (4, 5))
_PAIRS = ((0, 1), (2, 3), (4, 5), (6, 7))
_GRID = 10.0 ** np.arange(-3.5, 0.1, 0.5)
"""Candidate weights, relative to the one that makes the image flat."""

_CHOICE_TOLERANCE, _CHOICE_ITERATIONS = 3e-3, 80
_FOLLOWING_ITERATIONS = 20
"""Iterations for a choice that starts from one made with nearly as many realizations."""

_TRUST_TOLERANCE = 10.0
"""Tolerance of the solutions for the figures of reliability, relative to that of the image."""

_LEAST_PRECISION = 1e-6
"""Smallest precision of a realization relative to the best one; far below what makes a difference."""

_SPREAD_FACTOR = 1.1
"""Factor for the jackknife error; see `standard_error`."""

_UNKNOWN_PART = 0.4
_FEWEST = 16
"""Number of realizations from which on cross-validation can choose a weight."""


@dataclass(frozen=True, eq=False)
class Choice:
    """A weight of total variation, the number of realizations that chose it, and trial images to start the next choice from."""

    weight: float
    realizations: int
    trials: State | None = None
    unit: float = 1.0


class Problem:
    """Eq. 2 for the realizations so far: scales, groups and columns.

    Attributes
    ----------
    tells : bool
        Whether the realizations determine more than a level and, for a non-negative object, more than zero.
    contrast : float
        Standard deviation over the pixels of an object that, without noise, would make the buckets vary as much.
    unexplained : float
        Fraction of the variance of left-out buckets, about the prediction of the mean level, that the best image of `choose`
        does not predict either: mostly noise if it is large; a medium value if there are too few realizations to tell.
    projection : Projection
        Iterative for large problems, else direct.

    Parameters
    ----------
    shape : (H, W)
    store : Store
    seed : int
    nonnegative : bool
    kernel : MaskKernel, optional
        Kernel of all masks, for a problem that is not large, if available.
    """

    def __init__(
        self, shape: tuple[int, int], store: Store, seed: int, nonnegative: bool, kernel: MaskKernel | None = None
    ) -> None:
        self._shape, self._buckets, self._matrix = shape, store.buckets, store.matrix
        self._groups = groups_of(seed, len(store))
        self._row = row_weights(store.errors)
        self._kernel = None if store.is_large else _kernel_of(store, shape) if kernel is None else kernel
        spread, power = _spread_and_power(store)
        # identical masks still have a magnitude, though no image follows from them
        self.scale = float(np.sqrt((spread if spread > 1e-12 * power else power) * store.matrix.pixels))
        self.tells = False
        self.contrast, self.unexplained = 0.0, _UNKNOWN_PART
        if spread <= 1e-12 * power or len(store) < 2:
            return
        sums = store.matrix.sums
        level = (self._row * sums) @ self._buckets / ((self._row * sums) @ sums) if sums.any() else 0.0
        if nonnegative and level < 0 and not (store.matrix.adjoint((self._row * self._buckets)[None]) > 0).any():
            return  # whatever is added to an image of zeros makes the fit worse
        self._varying = self._buckets - level * sums
        residual = self._varying * self._row
        back = store.matrix.adjoint(residual[None])[0] if self._kernel is None else residual @ store.masks
        self.flattening = flattening_weight(back.reshape(self._shape))
        self.contrast = float(np.sqrt(self._row @ self._varying**2 / len(store))) / self.scale
        # of the magnitude of the image, so that single precision suffices for buckets in any unit
        self.unit = float(np.hypot(level, np.sqrt(np.mean(residual**2)) / self.scale))
        self.tells = self.flattening > 0
        if self.tells:
            self.projection: Projection
            if self._kernel is None:
                self.projection = IterativeProjection(store.matrix, shape, self.scale)
            else:
                self.projection = DirectProjection(self._kernel, self.scale)
            self._solver = TotalVariationSolver(self.projection, nonnegative)

    def choose(self, progress: Progress | None, last: Choice | None = None) -> Choice:
        """Return the weight whose images predict left-out buckets best, apart from the constant level.

        Starting from a choice made with slightly fewer realizations takes a quarter of the time, but the result depends on
        it.
        """
        if len(self._groups) < _FEWEST:
            return Choice(float(0.1 * self.flattening), len(self._groups))
        trials = [(fold, relative) for fold in _FOLDS for relative in _GRID]
        relative = np.array([relative for _, relative in trials])
        rows = np.stack([self._without((*fold, TEST_GROUP)) for fold, _ in trials])
        share = rows.mean(axis=1)
        weights = relative * self.flattening * share
        tolerance = np.full(len(trials), _CHOICE_TOLERANCE)
        if last is None or last.trials is None:
            start, iterations = self._solver.start(relative), _CHOICE_ITERATIONS
        else:
            start, iterations = last.trials.grown(self.projection).scaled(last.unit / self.unit), _FOLLOWING_ITERATIONS
        state = self._solve(start, rows, weights, tolerance, iterations)
        if progress is not None:
            progress(0.5)
        losses, spans = np.zeros(len(_GRID)), np.zeros(len(_GRID))
        predicted = self._predicted(state.p * np.float32(self.unit))
        for index, (fold, _) in enumerate(trials):
            held = np.isin(self._groups, fold)
            error, _ = self._missed(predicted[index], fold)
            losses[index % len(_GRID)] += error
            spans[index % len(_GRID)] += deviation(self._varying[held], self._row[held])
        best = int(np.argmin(losses))
        self.unexplained = float(losses[best] / spans[best]) if spans[best] > 0 else _UNKNOWN_PART
        shift = 0.0
        if 0 < best < len(_GRID) - 1:
            left, here, right = losses[best - 1 : best + 2]
            curvature = left - 2 * here + right
            shift = 0.5 * (left - right) / curvature if curvature > 0 else 0.0
        weight = float(self.flattening * _GRID[best] * 10 ** (0.5 * shift))
        return Choice(weight, len(self._groups), state, self.unit)

    def fresh(self, weight: float) -> State:
        """Return the initial state for the columns of `finish`."""
        return self._solver.start(np.full(len(self._columns()), weight / self.flattening))

    def finish(self, state: State, weight: float, tolerance: float, most: int) -> State:
        """Return the solution from all realizations, with those from parts of them for the figures of reliability."""
        rows = self._columns()
        tolerances = tolerance * np.where(np.arange(len(rows)) == 0, 1.0, _TRUST_TOLERANCE)
        return self._solve(state, rows, weight * rows.mean(axis=1), tolerances, most)

    def _solve(self, state: State, rows: np.ndarray, weights: np.ndarray, tolerance: np.ndarray, most: int) -> State:
        buckets, weights = self._buckets / (self.scale * self.unit), weights / (self.scale**2 * self.unit)
        return self._solver.solve(state, buckets, rows, weights, tolerance=tolerance, max_iterations=most)

    def estimate(self, state: State) -> Estimate:
        """Return the estimate of a solution."""
        images = state.p * np.float32(self.unit)
        present = len(np.unique(self._groups)) == TEST_GROUP + 1
        without, tested, halves = images[1:5], images[5], images[6:8]
        jackknife = jackknife_spread(without) if present else np.full(self._shape, np.nan)
        spread = standard_error(jackknife, _SPREAD_FACTOR, self.unexplained, self.contrast)
        error, span = self._missed(self._predicted(tested[None])[0], (TEST_GROUP,))
        drift = self._drift(without) if present else MaskDrift()
        return Estimate(
            image=images[0].astype(np.float32),
            spread=spread.astype(np.float32),
            heldout_loss=error / span if span > 0 else float("nan"),
            figures={
                "frc_resolution_px": frc_resolution(*halves) if present else float("nan"),
                "mask_drift_px": drift.pixels,
                "mask_drift_least_px": drift.at_least,
            },
        )

    def _drift(self, without: np.ndarray) -> MaskDrift:
        """Whether the masks moved, from the images without each pair of groups (4, H, W) and the buckets of that pair."""
        images = np.concatenate([np.stack([image, *_slopes(image)]) for image in without])
        predicted = self._predicted(images).reshape(len(without), 3, -1)
        found = np.zeros((3, len(self._buckets)))
        for pair, here in zip(_PAIRS, predicted, strict=True):
            held = np.isin(self._groups, pair)
            found[:, held] = here[:, held]
        return mask_drift(self._buckets - found[0], found[0], found[1:], self._row)

    def _predicted(self, images: np.ndarray) -> np.ndarray:
        """Return the buckets W x, float64 (S, M), of images (S, H, W)."""
        if self._kernel is None:
            return self._matrix.forward(images.reshape(len(images), -1))
        return np.concatenate([self._kernel.predict(image[None]) for image in images]).astype(np.float64)

    def _columns(self) -> np.ndarray:
        """Row weights: all, all but each pair of groups, all but the test group, the two halves."""
        everything = [self._row]
        leaving = [self._without(pair) for pair in _PAIRS]
        halves = [self._without((1, 3, 5, 7)), self._without((0, 2, 4, 6))]
        return np.stack([*everything, *leaving, self._without((TEST_GROUP,)), *halves])

    def _without(self, groups: tuple[int, ...]) -> np.ndarray:
        return np.where(np.isin(self._groups, groups), 0.0, self._row)

    def _missed(self, predicted: np.ndarray, groups: tuple[int, ...]) -> tuple[float, float]:
        """Return the squared error of the predictions (M,) of the groups' buckets, and these buckets' squared deviation."""
        held = np.isin(self._groups, groups)
        row = self._row[held]
        if not len(row):
            return 0.0, 0.0
        values = self._buckets[held]
        residual = values - predicted[held]
        return deviation(residual, row), deviation(values, row)


def row_weights(errors: np.ndarray) -> np.ndarray:
    """Return the weights of squared residuals, (M,) with mean 1, from the buckets' errors (M,)."""
    # no weight becomes 0: if the best realizations are left out, the others must count
    precision = np.maximum(errors.min() / errors, _LEAST_PRECISION) ** 2
    return precision / precision.mean()


def _kernel_of(store: Store, shape: tuple[int, int]) -> MaskKernel:
    kernel = MaskKernel(shape)
    kernel.extend(store.masks)
    return kernel


def _spread_and_power(store: Store) -> tuple[float, float]:
    """Return the variance of the masks over realizations and their mean square, averaged over pixels."""
    if store.is_large:
        power = float(store.matrix.squares.mean()) / store.matrix.pixels
        return power - float(np.mean((store.matrix.total / len(store)) ** 2)), power
    masks = store.masks
    return float(masks.var(axis=0, dtype=np.float64).mean()), float(
        np.einsum("mn,mn->", masks, masks, dtype=np.float64)
    ) / masks.size


def flat_estimate(store: Store, shape: tuple[int, int], nonnegative: bool) -> Estimate:
    """Return the best-fitting flat image: all that realizations determine if their masks, or buckets, do not vary."""
    sums = store.matrix.sums
    level = float(store.buckets @ sums / (sums @ sums)) if sums.any() else 0.0
    image = np.full(shape, max(level, 0.0) if nonnegative else level, dtype=np.float32)
    return Estimate(image, np.full_like(image, np.nan), float("nan"), {"frc_resolution_px": float("nan")})


def deviation(values: np.ndarray, row: np.ndarray) -> float:
    """Return the sum of squared deviations of values (M,) from their mean, both weighted by `row` (M,)."""
    return float(row @ (values - row @ values / row.sum()) ** 2)


def _slopes(image: np.ndarray) -> list[np.ndarray]:
    """Slopes of an image (H, W) along y and x, per pixel; 0 along a side of one pixel."""
    return [np.gradient(image, axis=axis) if image.shape[axis] > 1 else np.zeros_like(image) for axis in (0, 1)]
