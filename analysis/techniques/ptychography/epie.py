"""Object and probe of a scan by ePIE: the connection between its documents and `analysis.ptychography`."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.recipe import Recipe
from analysis.estimate import Estimate, Quantity, image_quantity
from analysis.ptychography.backend import Backend
from analysis.ptychography.epie import Epie, Frames
from analysis.ptychography.first_guess import SPREADS, best_guess
from analysis.ptychography.null_object import EmptyScan
from analysis.ptychography.orientation import ORIENTATIONS
from analysis.ptychography.streaming import BLOCK, Picture, StreamingEpie, Sweeps
from analysis.techniques.ptychography.counts import Counts
from analysis.techniques.ptychography.denoising import (
    Denoiser,
    checks,
    denoised_quantities,
    is_learned,
    null_checks,
    where_the_beam_was,
)
from analysis.techniques.ptychography.experiment import Experiment
from analysis.techniques.ptychography.exposures import Exposures
from analysis.techniques.ptychography.options import AUTO, checked_options
from analysis.techniques.ptychography.probes import first_probe, probe_reference
from analysis.techniques.ptychography.scan import Scan

_KEPT_BYTES = 2**25  # of prepared frames
_WANTED_COUNTS = 10_000  # per exposure: object and probe are then found nearly as well as with a known probe


def epie_quantities(scan: Scan, recipe: Recipe) -> dict[str, Quantity]:
    """Arrays and figures of an estimate."""
    options = checked_options(recipe.options)
    experiment = Experiment.of(scan.start, scan.layout, options["padding"])
    height, width = experiment.geometry.shape
    probe, canvas = (height, width * options["modes"]), experiment.canvas.shape
    denoised, figures = denoised_quantities(options, canvas)
    if options["correct_positions"]:
        figures["moved"] = Quantity("correction of positions, rms", "pixel")
    return {
        "object_phase": image_quantity("phase of the object", canvas, "rad"),
        **denoised,
        "object_amplitude": image_quantity("amplitude of the object", canvas),
        "probe_amplitude": image_quantity("amplitude of the probe", probe, "counts^(1/2)"),
        "probe_phase": image_quantity("phase of the probe", probe, "rad"),
        "residual": Quantity("error of the amplitudes", lower_is_better=True),
        "dose": Quantity("counts in all frames so far", "counts"),
        **figures,
    }


def epie_metadata(scan: Scan, recipe: Recipe) -> dict[str, Any]:
    """The meaning of the images."""
    experiment = Experiment.of(scan.start, scan.layout, checked_options(recipe.options)["padding"])
    canvas = experiment.canvas
    rows, columns = canvas.shape
    size = "" if experiment.in_pixels else f" of {1e3 * canvas.pixel_um:.3g} nm"
    pixel_um = None if experiment.in_pixels else canvas.pixel_um
    return {
        "image": {"quantity": "phase of the object", "units": "rad", "pixel_size_um": pixel_um},
        "caption": f"object of {rows}x{columns} pixels{size}, {scan.frames_told}",
        "probe_pixel_um": canvas.pixel_um,
    }


def epie_reconstruction(scan: Scan, recipe: Recipe) -> EpieReconstruction:
    """A new reconstruction. Raises ValueError for an invalid recipe."""
    return EpieReconstruction(scan, recipe)


class EpieReconstruction:
    """ePIE of one run.

    Parameters
    ----------
    scan : Scan
    recipe : Recipe

    Raises
    ------
    ValueError
        If an option is invalid, or there is no such device or probe.
    """

    def __init__(self, scan: Scan, recipe: Recipe) -> None:
        self.options: dict[str, Any] = checked_options(recipe.options)
        self._experiment = Experiment.of(scan.start, scan.layout, self.options["padding"])
        self._columns = scan.layout.grid.shape[1]
        self._pitch_um = scan.layout.pixel_size_um
        self._seed, self._device, self._backend = recipe.seed, recipe.device, Backend(recipe.device)
        if self.options["orientation"] is None:
            self.options["orientation"] = self._experiment.orientation
        self._stored_probe = None
        if self.options["probe"] is not None:
            self._stored_probe = probe_reference(scan.store, self.options["probe"])
            self.options["probe"] = self._stored_probe.identity
        self._choose_spread()
        self._counts = Counts(self._experiment, scan.layout.saturation, scan.stored)
        binning = self.options["binning"]
        self._exposures = Exposures(None if binning == AUTO else binning)
        self._dose = float("nan")
        self._epie: StreamingEpie | None = None
        self._kept: OrderedDict[int, Frames] = OrderedDict()

    def update(self, batch: Batch) -> None:
        """Take further frames."""
        columns = batch.columns
        places = self._experiment.canvas.pixels(np.stack([columns["y"], columns["x"]], axis=1))
        self._exposures.add(batch.number, columns["row"], columns["cell"] // self._columns, places)
        self._dose = float(columns["dose"][-1])
        if self.options["binning"] == AUTO:
            if len(self._exposures.numbers) < BLOCK:
                return
            self._choose_binning()
        if self._guesses and not self._exposures.enough_to_compare():
            return
        while self._exposures.blocks(ended=False) > self._taken:
            self._take_block()

    def result(self) -> Estimate:
        """Object and probe now, from whole blocks of frames; before the first block an empty object and no probe."""
        if self._epie is None:
            geometry, canvas = self._experiment.geometry, self._experiment.canvas
            dark = np.zeros((self.options["modes"], *geometry.shape), dtype=np.complex64)
            return self._estimate(Picture(np.ones(canvas.shape, dtype=np.complex64), dark, float("nan")))
        return self._estimate(self._epie.picture())

    def finish(self) -> Estimate:
        """Object and probe after sweeps over all frames, including the rest of the last block, and the object denoised."""
        if self.options["binning"] == AUTO:
            self._choose_binning()
        while self._exposures.blocks(ended=True) > self._taken:
            self._take_block()
        assert self._epie is not None
        if self.options["denoise"] is None:
            estimate = self._estimate(self._epie.finish(self._sweeps))
        else:
            estimate = self._denoised(self._epie)
        self._counts.close()
        return estimate

    @property
    def _taken(self) -> int:
        return 0 if self._epie is None else self._epie.blocks

    @property
    def _sweeps(self) -> Sweeps:
        return Sweeps(self.options["sweeps"], self.options["averaged"], self.options["denoise_every"])

    @property
    def _guesses(self) -> bool:
        """Whether orientation or spread of the beam must be found by trial."""
        return self.options["orientation"] is None or not self._spreads_known

    @property
    def _spreads_known(self) -> bool:
        known = self._stored_probe is not None or self._experiment.geometry.fresnel is not None
        return known or self.options["spread"] is not None

    def _choose_spread(self) -> None:
        """The spread of the beam from the defocus in the options or in the start document."""
        experiment, options = self._experiment, self.options
        far = experiment.wavelength_um is not None and experiment.geometry.fresnel is None
        if options["defocus_mm"] is not None and not far:
            raise ValueError(
                "the option defocus_mm of epie is for scans in the far field whose energy is known: leave it out, or give spread"
            )
        if options["defocus_mm"] is None and options["spread"] is None and far:
            options["defocus_mm"] = experiment.defocus_mm
        if options["defocus_mm"] is not None and experiment.wavelength_um is not None:
            options["spread"] = experiment.geometry.spread(experiment.wavelength_um, 1e3 * options["defocus_mm"])

    def _choose_binning(self) -> None:
        """Choose the number of frames that gives an exposure the desired counts, from the first block of frames."""
        rows = self._exposures.rows[:BLOCK]
        counts = float(np.median(np.nansum(self._counts.totals([row[None] for row in rows]), axis=(1, 2))))
        self.options["binning"] = min(max(1, math.ceil(_WANTED_COUNTS / max(counts, 1.0))), self._columns)
        self._exposures.bin_by(self.options["binning"])

    def _take_block(self) -> None:
        if self._epie is None:
            if self._guesses:
                self._guess()
            first = self._frames_of(0)
            self._epie = self._new_epie(self._first_probe(first, self.options["spread"]), self._frames_of)
        self._epie.take_block()

    def _new_epie(self, probe: np.ndarray, read: Any) -> StreamingEpie:
        return StreamingEpie(
            self._experiment.geometry,
            self._experiment.canvas.shape,
            probe,
            read,
            modes=self.options["modes"],
            seed=self._seed,
            backend=self._backend,
            correct_positions=self.options["correct_positions"],
        )

    def _guess(self) -> None:
        chosen = self._exposures.around_the_middle()
        made_ready: dict[str, Frames] = {}

        def error(orientation: str, spread: float, epochs: int) -> float:
            if orientation not in made_ready:
                made_ready.clear()
                made_ready[orientation] = self._prepared(chosen, orientation)
            frames = made_ready[orientation]
            probe = self._first_probe(frames, spread)[:1]
            epie = Epie(self._experiment.geometry, self._experiment.canvas.shape, probe, self._backend)
            rng = np.random.default_rng((self._seed, 3))
            missed = np.inf
            for _ in range(epochs):
                missed = float(epie.update(frames, rng.permutation(len(frames)), 1.0).mean())
            return missed

        known = self.options["orientation"]
        spreads = [self.options["spread"] or 1.0] if self._spreads_known else list(SPREADS)
        orientation, spread = best_guess(error, list(ORIENTATIONS) if known is None else [known], spreads)
        self.options["orientation"] = orientation
        if not self._spreads_known:
            self.options["spread"] = spread

    def _first_probe(self, frames: Frames, spread: float | None) -> np.ndarray:
        geometry = self._experiment.geometry
        if self._stored_probe is not None:
            return first_probe(self._stored_probe, geometry, float(frames.counts.mean()))
        amplitude = self._backend.numpy(frames.amplitude).astype(np.float64)
        measured = amplitude >= 0
        intensity = (np.where(measured, amplitude, 0.0) ** 2).sum(axis=0) / np.maximum(measured.sum(axis=0), 1)
        return geometry.first_probe(intensity, 1.0 if spread is None else spread)[None]

    def _frames_of(self, block: int) -> Frames:
        kept = self._kept.pop(block, None)
        if kept is None:
            kept = self._prepared(self._exposures.block(block), self.options["orientation"])
            room = max(1, _KEPT_BYTES // (4 * BLOCK * int(np.prod(self._experiment.geometry.shape))))
            while len(self._kept) >= room:
                self._kept.popitem(last=False)
        self._kept[block] = kept
        return kept

    def _prepared(self, exposures: list[slice], orientation: str) -> Frames:
        """Frames of some exposures, each prepared from the sum of the frames of a slice of the scan."""
        totals = self._counts.totals([self._exposures.rows[exposure] for exposure in exposures])
        counts = np.asarray(np.nansum(totals, axis=(1, 2)))
        amplitude = self._counts.amplitudes(totals, orientation)
        live = self._experiment.live_fraction if self.options["known_path"] else None
        paths = [self._exposures.path(exposure, live) for exposure in exposures]
        complete = np.asarray((amplitude >= 0).all(axis=(1, 2)))
        return Frames(self._backend.asarray(amplitude), complete, counts, paths)

    def _denoised(self, epie: StreamingEpie) -> Estimate:
        canvas = self._experiment.canvas
        region = where_the_beam_was(self._exposures.positions, epie.picture().probe, canvas.shape)
        picture, smooth, denoiser = self._swept(epie, region)
        before, after = np.angle(_turned(picture.object)), np.angle(_turned(smooth))
        arrays = {"denoised_phase": after, "denoised_amplitude": np.abs(smooth)}
        figures: dict[str, float] = {}
        if is_learned(self.options):
            arrays |= {f"{name}_phase": np.angle(_turned(denoiser.by(name, picture.object))) for name in ("tv", "nlm")}
            lines, points = self._pitch_um
            pitch = (lines / canvas.pixel_um, points / canvas.pixel_um) if lines and points else None
            figures = {**checks(before, after, region, pitch), **self._of_no_sample(epie, picture.probe, region)}
        return self._estimate(picture, arrays, figures)

    def _of_no_sample(self, epie: StreamingEpie, probe: np.ndarray, region: tuple[slice, slice]) -> dict[str, float]:
        """The result of the same steps for the beam without a sample."""
        empty = EmptyScan(self._experiment.geometry, probe, self._frames_of, self._seed, self._backend)
        null = self._new_epie(probe, empty.read)
        for _ in range(epie.blocks):
            null.take_block()
        picture, smooth, _ = self._swept(null, region)
        return null_checks(np.angle(_turned(picture.object)), np.angle(_turned(smooth)), region)

    def _swept(self, epie: StreamingEpie, region: tuple[slice, slice]) -> tuple[Picture, np.ndarray, Denoiser]:
        denoiser = Denoiser(self.options, region, self._seed, self._device)
        picture = epie.finish(self._sweeps, denoiser)
        return picture, denoiser(picture.object), denoiser

    def _estimate(
        self, picture: Picture, arrays: Mapping[str, np.ndarray] | None = None, figures: Mapping[str, float] | None = None
    ) -> Estimate:
        turned_object = _turned(picture.object)
        if arrays is None:  # nothing is denoised before the end
            declared, _ = denoised_quantities(self.options, picture.object.shape)
            arrays = {name: np.full(quantity.shape, np.nan) for name, quantity in declared.items()}
        modes = np.concatenate(list(picture.probe), axis=1)
        made = {
            "object_phase": np.angle(turned_object),
            **arrays,
            "object_amplitude": np.abs(turned_object),
            "probe_amplitude": np.abs(modes),
            "probe_phase": np.angle(modes),
        }
        known = {"residual": picture.residual, "dose": self._dose, **(figures or {})}
        if self.options["correct_positions"]:
            known["moved"] = picture.moved
        return Estimate({name: array.astype("<f4") for name, array in made.items()}, known)


def _turned(field: np.ndarray) -> np.ndarray:
    """The object, multiplied by a phase so that its mean has none."""
    mean = field.mean()
    return np.asarray(field * (mean.conj() / abs(mean) if mean else 1.0))
