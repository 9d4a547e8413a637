"""Slices of a tomographic scan: what connects its documents with `analysis.tomography`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.estimate import Estimate
from analysis.imaging.projector import ParallelBeam
from analysis.techniques.radiographs.blind_spots import BlindSpots
from analysis.techniques.radiographs.corrections import Corrections
from analysis.techniques.radiographs.layout import Layout
from analysis.techniques.radiographs.noise2self import figures_of
from analysis.techniques.radiographs.tomography_options import (
    rows_of_slices,
    rows_to_keep,
    tomography_options,
    trust_figures,
)
from analysis.tomography.attenuation import attenuation
from analysis.tomography.centre import centre_of_rotation
from analysis.tomography.fbp import fbp
from analysis.tomography.sirt import Sirt
from analysis.tomography.tv import TotalVariation, best_weight

_LIVE_ITERATIONS = 10  # from the last estimate on
_MOVED = 0.25  # bins by which the centre may be better known before a live slice is begun again with it
_FEWEST = 3  # views that tell a centre


class Tomography:
    """Slices by filtered back-projection, SIRT or total variation, growing while radiographs come.

    Parameters
    ----------
    layout : Layout
    corrections : callable
        Returns the corrections of the run; called when radiographs have come.
    recipe : Recipe
    store : ReferenceStore
    run : str
        Uid of the run.

    Raises
    ------
    ValueError
        If an option makes no sense, or the run has neither angles nor flat fields.
    """

    def __init__(
        self, layout: Layout, corrections: Callable[[], Corrections], recipe: Recipe, store: ReferenceStore, run: str
    ) -> None:
        self._method, self._device, self._seed = recipe.method, recipe.device, recipe.seed
        self.options: dict[str, Any] = tomography_options(recipe.method, recipe.options)
        self._given_centre, self._given_weight = self.options["centre"], self.options.get("weight")
        if layout.angles is None:
            raise ValueError(
                f"{recipe.method} needs the angle of each radiograph, and the run has none: turn the sample, or ingest its angles"
            )
        if layout.flats is None:
            raise ValueError(
                f"{recipe.method} needs flat fields, since attenuation is the logarithm of flat over sample: take flats"
            )
        self._size = layout.shape[1]
        if self._given_centre is not None and not self._given_centre < self._size:
            raise ValueError(
                f"the option centre of {recipe.method} is {self._given_centre:g}, beside the detector, whose rows have "
                f"{self._size} pixels"
            )
        self._corrections = corrections
        self._spots: BlindSpots | None = None
        if self.options.get("denoise") is not None:
            self._spots = BlindSpots(self.options["kernel"], layout, corrections, store, run)
        self._kept = rows_to_keep(layout, self.options)
        self._rows = np.searchsorted(self._kept, rows_of_slices(layout, self.options))
        self._transmission: list[np.ndarray] = []  # the rows that are kept
        self._angles: list[float] = []
        self._slices: np.ndarray | None = None  # of the last estimate on the way
        self._live: ParallelBeam | None = None  # its projector
        self._weight = (0, self._given_weight or 0.0)  # number of views by which it was chosen, and itself
        self._trust = dict.fromkeys(trust_figures(self.options), float("nan"))

    def update(self, batch: Batch) -> None:
        """Take further radiographs."""
        flat = self._corrections().flat
        if flat is None:
            raise ValueError("no flat field came, so that there is no attenuation to reconstruct from: take flats in the run")
        for counts in batch.columns["counts"]:
            if self._spots is None:
                self._transmission.append(counts[self._kept] / flat[self._kept])
            else:
                self._transmission.append(self._spots.transmission(counts)[self._kept])
        self._angles += batch.columns["angle"].tolist()

    def result(self) -> Estimate:
        """Slices of the radiographs so far, which are denoised in the final estimate alone."""
        measured = _Measured(np.stack(self._transmission)[:, self._rows], self._angles)
        centre = self._centre(measured) if len(self._angles) >= _FEWEST else (self._size - 1) / 2
        if len(self._angles) >= 2 * max(self._weight[0], 8):  # views enough to know it better
            self._weight = (len(self._angles), self._chosen_weight(measured, centre))
        if self._method == "fbp":
            return self._estimate(self._fbp(measured, centre), centre)
        self._live = self._grown(self._live, measured, centre)
        solver = self._solver(self._live, measured, self._weight[1], self._slices)
        solver.iterate(_LIVE_ITERATIONS)
        self._slices = solver.slices
        return self._estimate(self._slices, self._live.centre, solver.residual())

    def finish(self) -> Estimate:
        """Slices of all radiographs."""
        transmission = np.stack(self._transmission)
        if self._spots is not None:
            transmission = self._denoised(self._spots, transmission)
        measured = _Measured(transmission[:, self._rows], self._angles)
        centre = self.options["centre"] = self._centre(measured)
        weight = self._chosen_weight(measured, centre)
        if "weight" in self.options:
            self.options["weight"] = weight
        if self._method == "fbp":
            slices = self._fbp(measured, centre)
            explained = Sirt(self._projector(measured, centre), measured.sinograms, measured.known, first=slices)
            return self._estimate(slices, centre, explained.residual())
        solver = self._solver(self._projector(measured, centre), measured, weight, None)
        solver.iterate(self.options["iterations"])
        return self._estimate(solver.slices, centre, solver.residual())

    def _denoised(self, spots: BlindSpots, transmission: np.ndarray) -> np.ndarray:
        """Transmissions (views, rows, bins) denoised; of the one in the middle of the scan it is judged how far to trust it."""
        network = spots.learned(transmission, self._seed, self.options["denoise_steps"])
        self.options["kernel"] = spots.kernel
        denoised = np.stack([network(image) for image in transmission])
        middle = len(denoised) // 2
        self._trust = figures_of(network, transmission[middle], denoised[middle])
        return denoised

    def _centre(self, measured: _Measured) -> float:
        """Where the axis lies, as it was given, or found with these views."""
        if self._given_centre is not None:
            return float(self._given_centre)
        return centre_of_rotation(measured.sinograms[measured.best], measured.angles)

    def _chosen_weight(self, measured: _Measured, centre: float) -> float:
        """Weight of the total variation, as it was given, or found with these views; 0 without one."""
        if self._method != "tv" or self._given_weight is not None:
            return self._given_weight or 0.0
        best = measured.best
        projector = self._projector(measured, centre)
        return best_weight(projector, measured.sinograms[best], measured.known[best], self._seed, **self._bounds)

    @property
    def _bounds(self) -> dict[str, float | None]:
        return {name: self.options[name] for name in ("lower", "upper")}

    def _fbp(self, measured: _Measured, centre: float) -> np.ndarray:
        return fbp(measured.sinograms, measured.angles, centre, self._size, self._device)

    def _projector(self, measured: _Measured, centre: float) -> ParallelBeam:
        return ParallelBeam(self._size, measured.angles, self._size, centre, device=self._device)

    def _grown(self, before: ParallelBeam | None, measured: _Measured, centre: float) -> ParallelBeam:
        """The projector of all views so far, from that of the first ones unless the centre was wrong there."""
        if before is None or abs(before.centre - centre) > _MOVED:
            return self._projector(measured, centre)
        return before.with_views(measured.angles[len(before.angles) :])

    def _solver(
        self, projector: ParallelBeam, measured: _Measured, weight: float, first: np.ndarray | None
    ) -> Sirt | TotalVariation:
        if self._method == "tv":
            return TotalVariation(projector, measured.sinograms, measured.known, weight, first=first, **self._bounds)
        return Sirt(projector, measured.sinograms, measured.known, first=first, **self._bounds)

    def _estimate(self, slices: np.ndarray, centre: float, residual: float = float("nan")) -> Estimate:
        arrays = {"slice": slices[len(slices) // 2]}
        if len(slices) > 1:
            arrays["volume"] = slices
        figures = {"centre": float(centre), "views": float(len(self._angles)), "residual": residual}
        return Estimate(arrays, figures | self._trust)


class _Measured:
    """Sinograms (Z, views, bins) of transmissions (views, Z, bins), where they are known, and the angles."""

    def __init__(self, transmission: np.ndarray, angles: list[float]) -> None:
        self.sinograms, self.known = attenuation(np.ascontiguousarray(transmission.swapaxes(0, 1)))
        self.angles = np.array(angles)

    @property
    def best(self) -> int:
        """The slice of which most was measured; of several the one in the middle.

        Raises ValueError if nothing was.
        """
        number = self.known.sum(axis=(1, 2))
        if not number.any():
            raise ValueError(
                "nothing was measured in the rows of the detector that become slices, all their pixels are dead or dark: choose "
                "more of them by the option slices"
            )
        most = np.flatnonzero(number == number.max())
        return int(most[len(most) // 2])
