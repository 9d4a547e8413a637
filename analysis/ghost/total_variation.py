"""The solver of eq. 2 of Noise2Ghost with isotropic total variation, for many weights and subsets at once.

    x = argmin_x 1/2 sum_m o_m ((W x)_m - y_m)^2 + l TV(x),   x >= 0 if asked,

by the alternating direction method of multipliers in graph form: copies r of W x, d of D x and p of x carry the terms, and
each iteration projects them onto the set of copies that a common x can give. The projection is one linear system for all
columns (a column is one weight l with one choice of row weights o), so that cross-validation costs little more than one
solution; and the common level of the masks, which slows gradient steps, costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analysis.imaging.gradient import ScreenedPoisson, gradient, gradient_adjoint

from .projection import DATA_PENALTY, PLAIN_PENALTY, Projection

_OVER_RELAXATION = 1.6
_CHECK_EVERY = 10
_TINY = np.float32(1e-30)
_RESOLVED = np.float32(1e-2)
"""Multipliers smaller than this fraction of the copies count as this large: rounding of the copies moves them."""


@dataclass
class State:
    """State of the iteration, one row per column: copies r, d, p, their scaled multipliers and the penalties.

    The last entry of each row of r belongs to the shared mask w0.
    """

    r: np.ndarray
    d: np.ndarray
    p: np.ndarray
    ur: np.ndarray
    ud: np.ndarray
    up: np.ndarray
    penalty: np.ndarray

    @property
    def realizations(self) -> int:
        """Number of realizations in the state."""
        return self.r.shape[1] - 1

    def scaled(self, factor: float) -> State:
        """Return the state of the images times `factor`."""
        names = ("r", "d", "p", "ur", "ud", "up")
        return replace(self, **{name: getattr(self, name) * np.float32(factor) for name in names})

    def columns(self, chosen: np.ndarray) -> State:
        """Return the state of some columns, by their numbers."""
        along_first = {name: getattr(self, name)[chosen] for name in ("r", "p", "ur", "up", "penalty")}
        return State(**along_first, d=self.d[:, chosen], ud=self.ud[:, chosen])

    def put(self, chosen: np.ndarray, columns: State) -> None:
        """Replace some columns, by their numbers."""
        for name in ("r", "p", "ur", "up", "penalty"):
            getattr(self, name)[chosen] = getattr(columns, name)
        self.d[:, chosen], self.ud[:, chosen] = columns.d, columns.ud

    def grown(self, projection: Projection) -> State:
        """Return the state extended by the realizations that `projection` has and the state has not."""
        known = self.realizations
        rows = projection.rows(self.p).astype(np.float32)
        r = np.hstack([self.r[:, :known], rows[:, known:-1], self.r[:, known:]])
        ur = np.hstack([self.ur[:, :known], np.zeros_like(rows[:, known:-1]), self.ur[:, known:]])
        return replace(self, r=r, ur=ur)


class TotalVariationSolver:
    """Solves columns of eq. 2 for one set of masks.

    Parameters
    ----------
    projection : Projection
        Masks divided by a scale, chosen so that masks with independent pixels have eigenvalues near M / N.
    nonnegative : bool
    """

    def __init__(self, projection: Projection, nonnegative: bool) -> None:
        self.projection, self._nonnegative = projection, nonnegative

    def start(self, relative_weights: np.ndarray) -> State:
        """Return the state of an empty image, for weights given relative to `flattening_weight`."""
        columns = len(relative_weights)
        rows, image = (columns, len(self.projection) + 1), (columns, *self.projection.shape)
        # the penalties at which residual balancing ended in trials, as a power of the weight
        penalty = 0.6 * np.clip(relative_weights, 1e-4, 1.0) ** 0.7

        def zeros(shape: tuple[int, ...]) -> np.ndarray:
            return np.zeros(shape, dtype=np.float32)

        edges = (2, *image)
        return State(
            r=zeros(rows), d=zeros(edges), p=zeros(image), ur=zeros(rows), ud=zeros(edges), up=zeros(image),
            penalty=penalty.astype(np.float32),
        )  # fmt: skip

    def solve(
        self,
        state: State,
        buckets: np.ndarray,
        rows: np.ndarray,
        weights: np.ndarray,
        *,
        tolerance: np.ndarray,
        max_iterations: int,
    ) -> State:
        """Iterate until the relative primal and dual residuals of every column are below its tolerance.

        Parameters
        ----------
        state : State
        buckets : (M,)
            y over the scale, in any unit.
        rows : (S, M)
            o, the weight of each realization in each column; 0 leaves it out.
        weights : (S,)
            l over the square of the scale, in the same unit.
        tolerance : (S,)
        max_iterations : int

        Returns
        -------
        State
            Its `p` are the images (S, H, W), in units of x over the unit of the given buckets.
        """
        buckets, rows, weights = (values.astype(np.float32) for values in (buckets, rows, weights))
        whole, going, iteration = state.columns(np.arange(len(weights))), np.arange(len(weights)), 0
        while len(going) and iteration < max_iterations:
            part = whole.columns(going)
            iteration, part, done = self._run(
                part, buckets, rows[going], weights[going], tolerance[going], iteration, max_iterations
            )
            whole.put(going, part)
            going = going[~done]
        return whole

    def _run(
        self,
        state: State,
        buckets: np.ndarray,
        rows: np.ndarray,
        weights: np.ndarray,
        tolerance: np.ndarray,
        iteration: int,
        max_iterations: int,
    ) -> tuple[int, State, np.ndarray]:
        """Iterate from number `iteration` on until all columns have converged, or half of them if each costs time.

        Return the number of the last iteration, the state, and which columns have converged.
        """
        projection = self.projection
        projection.begin(state.p)
        a, b, mix = np.float32(DATA_PENALTY), np.float32(PLAIN_PENALTY), np.float32(_OVER_RELAXATION)
        r, d, p, ur, ud, up, penalty = (
            state.r, state.d, state.p, state.ur, state.ud, state.up, state.penalty
        )  # fmt: skip
        done = np.zeros(len(weights), dtype=bool)
        while iteration < max_iterations:
            iteration += 1
            t = projection.screen.solve(gradient_adjoint(*(d - ud)) + b * (p - up))
            x, wx = projection.onto(t, r - ur)
            dx = np.stack(gradient(x))

            before = (r, d, p)
            r_mix, d_mix, p_mix = mix * wx + (1 - mix) * r + ur, mix * dx + (1 - mix) * d + ud, mix * x + (1 - mix) * p + up
            r = self._fit(r_mix, buckets, rows, a * penalty[:, None])
            length = np.sqrt(d_mix[0] ** 2 + d_mix[1] ** 2)
            threshold = (weights / penalty)[:, None, None]
            d = d_mix * (1 - threshold / np.maximum(np.maximum(length, threshold), _TINY))
            p = np.maximum(p_mix, 0) if self._nonnegative else p_mix
            ur, ud, up = r_mix - r, d_mix - d, p_mix - p

            if iteration % _CHECK_EVERY == 0:
                size = _norm(r, d, p)
                primal = _norm(wx - r, dx - d, x - p) / np.maximum(size, _TINY)
                moved = (new - old for new, old in zip((r, d, p), before, strict=True))
                dual = _norm(*moved) / np.maximum(np.maximum(_norm(ur, ud, up), _RESOLVED * size), _TINY)
                done = np.maximum(primal, dual) < tolerance
                if done.all() or (projection.drops_columns and 2 * done.sum() >= len(done)):
                    break
                # balancing for ever could oscillate: it ends after two thirds of the iterations
                if iteration < 2 * max_iterations // 3:
                    ratio = np.sqrt((primal + _TINY) / (dual + _TINY))
                    change = np.where(np.abs(np.log(ratio)) > 0.35, np.clip(ratio, 0.5, 2.0), 1.0).astype(np.float32)
                    penalty = penalty * change
                    ur, ud, up = ur / change[:, None], ud / change[:, None, None], up / change[:, None, None]
        return iteration, State(r, d, p, ur, ud, up, penalty), done

    def _fit(self, wanted: np.ndarray, buckets: np.ndarray, rows: np.ndarray, k: np.ndarray) -> np.ndarray:
        """Return the r that minimises 1/2 sum_m o_m (r_m + g r_0 - y_m)^2 + k/2 |r - wanted|^2; r_0 is the last."""
        own, shared, g = wanted[:, :-1], wanted[:, -1:], self.projection.gain
        pull = rows * k / (rows + k)
        level = (k * shared + g * (pull * (buckets - own)).sum(axis=1, keepdims=True)) / (
            k + g**2 * pull.sum(axis=1, keepdims=True)
        )
        return np.hstack([(rows * (buckets - g * level) + k * own) / (rows + k), level])


def flattening_weight(backprojection: np.ndarray) -> float:
    """Return a weight above which the image is flat, from W'(y - W c) (H, W) for the best flat image c.

    The image is flat if there is a field q with D'q = W'(y - W c) and |q| <= l everywhere; the q with the smallest square
    norm is used.
    """
    # the constant part vanishes by the choice of c; the small constant only makes the system regular
    potential = ScreenedPoisson(backprojection.shape, 1e-9).solve(backprojection - backprojection.mean())
    along_y, along_x = gradient(potential)
    return float(np.sqrt(along_y**2 + along_x**2).max())


def _norm(r: np.ndarray, d: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.sqrt(DATA_PENALTY * (r**2).sum(axis=1) + (d**2).sum(axis=(0, 2, 3)) + PLAIN_PENALTY * (p**2).sum(axis=(1, 2)))
