"""The solver of eq. 2 of Noise2Ghost with isotropic total variation, for many weights and subsets at once.

    x = argmin_x 1/2 sum_m o_m ((W x)_m - y_m)^2 + l TV(x),   x >= 0 if asked,

by the alternating direction method of multipliers in graph form: copies r of W x, d of D x and p of x carry the terms,
and each iteration projects them exactly onto what an x can make of all three. The projection is one linear
system for all columns (a column is one weight l with one choice of row weights o), so that cross-validation costs little
more than one solution, and the common level of the masks, which stalls gradient steps, costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from .gradient import ScreenedPoisson, gradient, gradient_adjoint

_DATA_PENALTY = 3.0
_PLAIN_PENALTY = 1.0
"""Penalties of the copies of W x and of x in units of that of D x. Of nine pairs tried these converge fastest over
a range of 100 in weight."""

_OVER_RELAXATION = 1.6
_CHECK_EVERY = 10
_TINY = np.float32(1e-30)
_RESOLVED = np.float32(1e-2)
"""Multipliers smaller than this part of the copies count as this large: rounding of the copies moves them."""


class MaskKernel:
    """Masks C = W - 1 w0' with what the solver needs of them, grown by blocks.

    w0, the mean of the first block's masks, takes off the level that all masks share: what remains has
    eigenvalues of one size, so that single precision does.

    Parameters
    ----------
    shape : (H, W)
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.screen = ScreenedPoisson(shape, _PLAIN_PENALTY)
        pixels = shape[0] * shape[1]
        self.shared = np.zeros(pixels, dtype=np.float32)
        self.shared_smooth = np.zeros(pixels, dtype=np.float32)
        self._masks = np.empty((0, pixels), dtype=np.float32)
        self._smooth = np.empty((0, pixels), dtype=np.float32)
        self._kernel = np.empty((0, 0), dtype=np.float32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, masks: np.ndarray) -> None:
        """Add masks, float32 (B, N)."""
        start, end = self._count, self._count + len(masks)
        if start == 0:
            self.shared = masks.mean(axis=0, dtype=np.float64).astype(np.float32)
            self.shared_smooth = self._smoothed(self.shared[None])[0]
        if end > len(self._masks):
            room = max(end, 2 * len(self._masks))
            self._masks, self._smooth = (_grown(rows, (room, rows.shape[1])) for rows in (self._masks, self._smooth))
            self._kernel = _grown(self._kernel, (room, room))
        self._masks[start:end] = masks - self.shared
        self._smooth[start:end] = self._smoothed(self._masks[start:end])
        cross = self._smooth[start:end] @ self._masks[:end].T
        self._kernel[start:end, :end] = cross
        self._kernel[:end, start:end] = cross.T
        self._count = end

    def truncate(self, count: int) -> None:
        """Forget all masks after the first `count`."""
        self._count = min(self._count, count)

    def _smoothed(self, masks: np.ndarray) -> np.ndarray:
        return self.screen.solve(masks.reshape(-1, *self.shape)).reshape(masks.shape)

    @property
    def masks(self) -> np.ndarray:
        """C, float32 (M, N); a view."""
        return self._masks[: self._count]

    @property
    def smooth(self) -> np.ndarray:
        """C B^-1 with B = D'D + c, float32 (M, N); a view."""
        return self._smooth[: self._count]

    @property
    def kernel(self) -> np.ndarray:
        """C B^-1 C', float32 (M, M); a view."""
        return self._kernel[: self._count, : self._count]

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return W x, (S, M), for images (S, H, W)."""
        flat = images.reshape(len(images), -1)
        return flat @ self.masks.T + (flat @ self.shared)[:, None]


@dataclass
class State:
    """Where the iteration stands, one row a column: copies r, d, p, their scaled multipliers and the penalties.

    The last entry of each row of r stands for the shared mask w0.
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
        """Number of realizations it is for."""
        return self.r.shape[1] - 1

    def scaled(self, factor: float) -> State:
        """Return the state of the images times `factor`."""
        names = ("r", "d", "p", "ur", "ud", "up")
        return replace(self, **{name: getattr(self, name) * np.float32(factor) for name in names})

    def grown(self, kernel: MaskKernel, scale: float) -> State:
        """Return the state with the realizations added that `kernel` has and it has not."""
        known = self.realizations
        new = self.p.reshape(len(self.p), -1) @ kernel.masks[known:].T / np.float32(scale)
        r = np.hstack([self.r[:, :known], new, self.r[:, known:]])
        ur = np.hstack([self.ur[:, :known], np.zeros_like(new), self.ur[:, known:]])
        return replace(self, r=r, ur=ur)


class TotalVariationSolver:
    """Solves columns of eq. 2 for one set of masks.

    Parameters
    ----------
    kernel : MaskKernel
    scale : float
        Masks are divided by it; chosen so that masks of independent pixels have eigenvalues near M / N.
    nonnegative : bool
    """

    def __init__(self, kernel: MaskKernel, scale: float, nonnegative: bool) -> None:
        self._kernel, self._nonnegative = kernel, nonnegative
        self._scale = np.float32(scale)
        # the shared mask enters as one more row of the size of the others, times the gain g
        self._gain = np.float32(np.linalg.norm(kernel.shared.astype(np.float64)) / scale)
        shared = kernel.shared / (self._gain * self._scale) if self._gain > 0 else kernel.shared
        smooth = kernel.shared_smooth / (self._gain * self._scale) if self._gain > 0 else kernel.shared_smooth
        self._shared, self._shared_smooth = shared, smooth
        count = len(kernel)
        system = np.empty((count + 1, count + 1), dtype=np.float32, order="F")
        system[:count, :count] = kernel.kernel / self._scale**2
        system[count, :count] = kernel.masks @ smooth / self._scale
        system[count, count] = shared @ smooth
        system[np.diag_indices(count + 1)] += np.float32(1 / _DATA_PENALTY)
        factor, _ = linalg.lapack.spotrf(system, lower=1, overwrite_a=1)
        inverse, _ = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
        self._inverse = np.tril(inverse) + np.tril(inverse, -1).T

    def start(self, relative_weights: np.ndarray) -> State:
        """Return the state of an empty image, for weights given relative to `flattening_weight`."""
        columns = len(relative_weights)
        rows, image = (columns, len(self._kernel) + 1), (columns, *self._kernel.shape)
        # the penalties that residual balancing ended with in trials, as a power of the weight
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
        """Iterate until every column's primal and dual residuals are below its tolerance, relatively.

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
            Its `p` are the images (S, H, W), in units of x over the unit of the buckets given.
        """
        kernel, columns = self._kernel, len(weights)
        masks, smooth = kernel.masks / self._scale, kernel.smooth / self._scale
        buckets, rows, weights = (values.astype(np.float32) for values in (buckets, rows, weights))
        a, b, mix = np.float32(_DATA_PENALTY), np.float32(_PLAIN_PENALTY), np.float32(_OVER_RELAXATION)
        r, d, p, ur, ud, up, penalty = (
            state.r, state.d, state.p, state.ur, state.ud, state.up, state.penalty
        )  # fmt: skip
        for iteration in range(1, max_iterations + 1):
            # projection: the x nearest to all copies, by the matrix inversion lemma on the masks' side
            t = kernel.screen.solve(gradient_adjoint(*(d - ud)) + b * (p - up)).reshape(columns, -1)
            wanted = r - ur
            missing = wanted - np.column_stack([t @ masks.T, t @ self._shared])
            e = missing @ self._inverse
            x = (t + e[:, :-1] @ smooth + e[:, -1:] * self._shared_smooth).reshape(p.shape)
            wx = wanted - e / a
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
                if (np.maximum(primal, dual) < tolerance).all():
                    break
                # balancing for ever could cycle: it ends two thirds of the way
                if iteration < 2 * max_iterations // 3:
                    ratio = np.sqrt((primal + _TINY) / (dual + _TINY))
                    change = np.where(np.abs(np.log(ratio)) > 0.35, np.clip(ratio, 0.5, 2.0), 1.0).astype(np.float32)
                    penalty = penalty * change
                    ur, ud, up = ur / change[:, None], ud / change[:, None, None], up / change[:, None, None]
        return State(r, d, p, ur, ud, up, penalty)

    def _fit(self, wanted: np.ndarray, buckets: np.ndarray, rows: np.ndarray, k: np.ndarray) -> np.ndarray:
        """Return the r that minimises 1/2 sum_m o_m (r_m + g r_0 - y_m)^2 + k/2 |r - wanted|^2; r_0 is the last."""
        own, shared, g = wanted[:, :-1], wanted[:, -1:], self._gain
        pull = rows * k / (rows + k)
        level = (k * shared + g * (pull * (buckets - own)).sum(axis=1, keepdims=True)) / (
            k + g**2 * pull.sum(axis=1, keepdims=True)
        )
        return np.hstack([(rows * (buckets - g * level) + k * own) / (rows + k), level])


def flattening_weight(backprojection: np.ndarray) -> float:
    """Return a weight above which the image is flat, from W'(y - W c) (H, W) of the best flat image c.

    The image is flat if there is a field q with D'q = W'(y - W c) and |q| <= l everywhere; the q of least
    square norm serves.
    """
    # the constant part is zero by the choice of c; the small constant only makes the system regular
    potential = ScreenedPoisson(backprojection.shape, 1e-9).solve(backprojection - backprojection.mean())
    along_y, along_x = gradient(potential)
    return float(np.sqrt(along_y**2 + along_x**2).max())


def _norm(r: np.ndarray, d: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.sqrt(_DATA_PENALTY * (r**2).sum(axis=1) + (d**2).sum(axis=(0, 2, 3)) + _PLAIN_PENALTY * (p**2).sum(axis=(1, 2)))


def _grown(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    larger = np.empty(shape, dtype=array.dtype)
    larger[: array.shape[0], : array.shape[1]] = array
    return larger
