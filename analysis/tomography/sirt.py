"""SIRT: an image whose line integrals are as measured, by repeated correction, between bounds."""

from __future__ import annotations

import numpy as np
import torch

from analysis.imaging.projector import ParallelBeam


def weights_of_rays(projector: ParallelBeam, known: np.ndarray) -> torch.Tensor:
    """One over the length of each ray in the image, (views * bins, Z); 0 where nothing was measured.

    Rays that touch a corner alone are left out, too: one over their length is huge.
    """
    lengths = projector.forward(torch.ones(projector.shape[1], 1, dtype=projector.dtype, device=projector.device))
    return projector.columns(known) * torch.where(lengths > 1e-3, 1 / lengths.clamp_min(1e-3), 0.0)


class Sirt:
    """x <- bounded(x + C A' R (b - A x)), with R and C one over the row and column sums of A.

    Gregor and Benson, IEEE Trans. Med. Imaging 27, 918 (2008), eq. 4; the bounds are projections after each step.

    Parameters
    ----------
    projector : ParallelBeam
        A.
    sinograms : ndarray, (Z, views, bins)
        b.
    known : ndarray, bool, (Z, views, bins)
        Where b was measured; elsewhere it counts for nothing.
    lower, upper : float or None
        Bounds of x.
    first : ndarray, (Z, N, N), optional
        Where to begin; by default at 0.
    """

    def __init__(
        self,
        projector: ParallelBeam,
        sinograms: np.ndarray,
        known: np.ndarray,
        *,
        lower: float | None = None,
        upper: float | None = None,
        first: np.ndarray | None = None,
    ) -> None:
        self._projector = projector
        self._b = projector.columns(sinograms)
        self._lower, self._upper = lower, upper
        self._rows = weights_of_rays(projector, known)
        touched = projector.adjoint((self._rows > 0).to(projector.dtype))
        self._columns = torch.where(touched > 1e-3, 1 / touched.clamp_min(1e-3), 0.0)
        shape = (projector.shape[1], len(sinograms))
        self._x = (
            torch.zeros(shape, dtype=projector.dtype, device=projector.device) if first is None else projector.columns(first)
        )

    def iterate(self, number: int) -> None:
        """Take so many steps."""
        for _ in range(number):
            residual = torch.sub(self._b, self._projector.forward(self._x)).mul_(self._rows)
            self._x.addcmul_(self._columns, self._projector.adjoint(residual))
            if self._lower is not None or self._upper is not None:
                self._x.clamp_(self._lower, self._upper)

    @property
    def slices(self) -> np.ndarray:
        """X now, (Z, N, N)."""
        return self._projector.images(self._x)

    def residual(self) -> float:
        """|A x - b| / |b| over what was measured."""
        known = self._rows > 0
        missed = (self._projector.forward(self._x) - self._b)[known]
        return float(missed.norm() / self._b[known].norm().clamp_min(1e-30))
