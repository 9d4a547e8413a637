"""Counts of each template in a spectrum: a non-negative least-squares fit, reduced to as many numbers as there are templates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from analysis.spectra.templates import Templates

_FEWEST_COUNTS = 1e-3
"""Part of the mean counts in a bin below which a bin gets no more weight: an empty bin isn't without error."""


@dataclass(frozen=True, eq=False)
class Amplitudes:
    """Counts of each template, and their standard errors, both float64 (K,)."""

    counts: np.ndarray
    errors: np.ndarray


class SpectrumFit:
    """Fits spectra that are alike, such as those of one detector element in one scan.

    With A the templates and W = 1 / variance of the counts that a typical spectrum has in each bin (Poisson), a spectrum y has
    the counts x >= 0 that minimise |W^(1/2) (A x - y)|^2. All that this needs of y is A' W y, so that a fit costs one product of
    y with a small matrix. The weights are the same for all spectra: so the fit is linear, and unbiased, wherever no count is held
    at 0.

    Parameters
    ----------
    templates : Templates
    typical : ndarray, (bins,)
        Spectrum that the weights come from, such as the sum of many.
    """

    def __init__(self, templates: Templates, typical: np.ndarray) -> None:
        A, self._part = templates.columns, slice(templates.first, templates.last)
        model = modelled(templates, typical)
        variance = np.maximum(model, max(_FEWEST_COUNTS * float(model.mean()), 1e-12))
        weight = variance.mean() / variance
        self._reduce = np.ascontiguousarray((weight[:, None] * A).T)  # A' W
        self._gram = self._reduce @ A
        self._factor = _factor(self._gram)
        self._gram_inverse = np.linalg.pinv(self._gram, hermitian=True)
        # the error of x = G^-1 A' W y where the counts of each bin are Poisson with the mean A x
        spread = (self._gram_inverse @ self._reduce) ** 2
        self._variance = spread @ A
        self._least_variance = spread.max(axis=1)  # what a single count makes
        self._solvers: dict[bytes, np.ndarray] = {}
        self._all = np.ones(len(self._gram), dtype=bool)

    def __call__(self, spectrum: np.ndarray) -> Amplitudes:
        """Fit one spectrum, (bins,) counts."""
        b = self._reduce @ spectrum[self._part].astype(np.float64)
        counts = self._nonnegative(b)
        return Amplitudes(counts, np.sqrt(np.maximum(self._variance @ counts, self._least_variance)))

    def _nonnegative(self, b: np.ndarray) -> np.ndarray:
        """The minimum of x' G x / 2 - b' x with x >= 0, by block principal pivoting.

        Kim and Park, SIAM J. Sci. Comput. 33, 3261 (2011).
        """
        x = self._gram_inverse @ b
        if (x >= 0).all():
            return x
        free = x > 0
        for _ in range(2 * len(b)):
            x = self._solver(free) @ b
            wrong = (x < 0) | (~free & (self._gram @ x - b < -1e-9 * abs(b)))
            if not wrong.any():
                return np.maximum(x, 0.0)
            free = free ^ wrong
        # blocks may go round in circles where templates are nearly alike: one at a time always ends
        found: np.ndarray = nnls(self._factor.T, np.linalg.solve(self._factor, b))[0]
        return found

    def _solver(self, free: np.ndarray) -> np.ndarray:
        """The matrix that gives the free counts of b, and 0 for all others."""
        key = free.tobytes()
        solver = self._solvers.get(key)
        if solver is None:
            solver = np.zeros_like(self._gram)
            chosen = np.flatnonzero(free)
            solver[np.ix_(chosen, chosen)] = np.linalg.pinv(self._gram[np.ix_(chosen, chosen)], hermitian=True)
            if len(self._solvers) < 4096:
                self._solvers[key] = solver
        return solver


def modelled(templates: Templates, spectrum: np.ndarray) -> np.ndarray:
    """The sum of templates, (last - first,), that is nearest to a spectrum (bins,), weighted by its smoothed counts."""
    return templates.columns @ fitted_once(templates, spectrum)


def fitted_once(templates: Templates, spectrum: np.ndarray) -> np.ndarray:
    """Counts of each template, (K,), in a single spectrum with many counts."""
    counts = np.asarray(spectrum, dtype=np.float64)[templates.first : templates.last]
    root = 1 / np.sqrt(np.maximum(_smoothed(counts), 1.0))
    scale = float(max(counts.sum(), 1.0))
    weighted = root[:, None] * templates.columns * scale
    factor = _factor(weighted.T @ weighted)  # of the normal equations: K x K numbers instead of bins x K
    target = np.linalg.solve(factor, weighted.T @ (root * counts))
    found: np.ndarray = nnls(factor.T, target)[0]
    return found * scale


def _factor(gram: np.ndarray) -> np.ndarray:
    """The Cholesky factor of a Gram matrix, also where a template is empty."""
    found: np.ndarray = np.linalg.cholesky(gram + 1e-12 * np.trace(gram) * np.eye(len(gram)))
    return found


def _smoothed(counts: np.ndarray) -> np.ndarray:
    return np.convolve(counts, np.full(5, 0.2), mode="same")
