"""Slices of a tomographic scan: what connects its documents with `analysis.tomography`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.recipe import Recipe
from analysis.estimate import Estimate
from analysis.imaging.projector import ParallelBeam
from analysis.techniques.radiographs.corrections import Corrections
from analysis.techniques.radiographs.layout import Layout
from analysis.techniques.radiographs.tomography_options import rows_of_slices, tomography_options
from analysis.tomography.attenuation import attenuation
from analysis.tomography.centre import centre_of_rotation
from analysis.tomography.fbp import fbp
from analysis.tomography.sirt import Sirt

_LIVE_ITERATIONS = 20  # from the last estimate on


class Tomography:
    """Slices by filtered back-projection or SIRT, growing while radiographs come.

    Parameters
    ----------
    layout : Layout
    corrections : callable
        Returns the corrections of the run; called when radiographs have come.
    recipe : Recipe

    Raises
    ------
    ValueError
        If an option makes no sense, or the run has neither angles nor flat fields.
    """

    def __init__(self, layout: Layout, corrections: Callable[[], Corrections], recipe: Recipe) -> None:
        self._method, self._device = recipe.method, recipe.device
        self.options: dict[str, Any] = tomography_options(recipe.method, recipe.options)
        self._given_centre = self.options["centre"]
        if layout.angles is None:
            raise ValueError(f"{recipe.method} needs the angle of each radiograph, and the run has none: scan with rotation")
        if layout.flats is None:
            raise ValueError(
                f"{recipe.method} needs flat fields, since attenuation is the logarithm of flat over sample: take flats"
            )
        self._corrections = corrections
        self._rows = rows_of_slices(layout, self.options)
        self._size = layout.shape[1]
        self._transmission: list[np.ndarray] = []
        self._angles: list[float] = []
        self._slices: np.ndarray | None = None  # of the last estimate on the way
        self._centre: tuple[int, float] = (0, (self._size - 1) / 2)  # found with so many views

    def update(self, batch: Batch) -> None:
        """Take further radiographs."""
        flat = self._corrections().flat
        if flat is None:
            raise ValueError("no flat field came, so that there is no attenuation to reconstruct from: take flats in the run")
        self._transmission += list(batch.columns["counts"][:, self._rows] / flat[self._rows])
        self._angles += batch.columns["angle"].tolist()

    def result(self) -> Estimate:
        """Slices of the radiographs so far."""
        sinograms, known, angles = self._measured()
        if self._given_centre is None and len(angles) >= 2 * max(self._centre[0], 8):  # views enough to know it better
            self._centre = (len(angles), centre_of_rotation(sinograms[len(sinograms) // 2], angles))
        centre = self._centre[1] if self._given_centre is None else self._given_centre
        if self._method == "fbp":
            return self._estimate(fbp(sinograms, angles, centre, self._size, self._device), centre)
        sirt = self._sirt(sinograms, known, angles, centre, self._slices)
        sirt.iterate(_LIVE_ITERATIONS)
        self._slices = sirt.slices
        return self._estimate(self._slices, centre, sirt.residual())

    def finish(self) -> Estimate:
        """Slices of all radiographs."""
        sinograms, known, angles = self._measured()
        centre = self._given_centre
        if centre is None:
            centre = self.options["centre"] = centre_of_rotation(sinograms[len(sinograms) // 2], angles)
        if self._method == "fbp":
            slices = fbp(sinograms, angles, centre, self._size, self._device)
            return self._estimate(slices, centre, self._residual(slices, sinograms, known, angles, centre))
        sirt = self._sirt(sinograms, known, angles, centre, None)
        sirt.iterate(self.options["iterations"])
        return self._estimate(sirt.slices, centre, sirt.residual())

    def _measured(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values, known = attenuation(np.stack(self._transmission, axis=1))
        return values, known, np.array(self._angles)

    def _sirt(
        self, sinograms: np.ndarray, known: np.ndarray, angles: np.ndarray, centre: float, first: np.ndarray | None
    ) -> Sirt:
        projector = ParallelBeam(self._size, angles, self._size, centre, device=self._device)
        return Sirt(projector, sinograms, known, lower=self.options["lower"], upper=self.options["upper"], first=first)

    def _residual(self, slices: np.ndarray, sinograms: np.ndarray, known: np.ndarray, angles: np.ndarray, centre: float) -> float:
        projector = ParallelBeam(self._size, angles, self._size, centre, device=self._device)
        return Sirt(projector, sinograms, known, first=slices).residual()

    def _estimate(self, slices: np.ndarray, centre: float, residual: float = float("nan")) -> Estimate:
        arrays = {"slice": slices[len(slices) // 2]}
        if len(slices) > 1:
            arrays["volume"] = slices
        return Estimate(arrays, {"centre": float(centre), "views": float(len(self._angles)), "residual": residual})
