"""A ptychographic scan and its reconstructions: what connects documents with the algorithms of `analysis.ptychography`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.recipe import Recipe
from analysis.estimate import Estimate, Quantity, image_quantity
from analysis.ptychography import SumMaps
from analysis.techniques.ptychography.epie import DEFAULTS, EpieReconstruction, checked_options, epie_quantities
from analysis.techniques.ptychography.experiment import Experiment
from analysis.techniques.ptychography.intake import Triggers
from analysis.techniques.ptychography.layout import ENTRY, Layout


@dataclass(frozen=True)
class MethodInfo:
    """A method of ptychography: what it is called, what it is and what can be chosen."""

    name: str
    fast: bool
    summary: str
    defaults: Mapping[str, Any] = field(default_factory=dict)


METHODS = {
    "sums": MethodInfo("sums", True, "Maps of the counts of each frame, and of those outside the direct beam (dark field)."),
    "epie": MethodInfo("epie", False, "Phase and amplitude of the object, and the probe, by ePIE.", DEFAULTS),
}
"""The methods by name."""


class PtychographyRun:
    """One scan.

    Parameters
    ----------
    start : mapping
        Its start document.
    folders : sequence of Path
        Where the detector's files may lie.

    Raises
    ------
    RunRefused
        If the start document is malformed.
    """

    rows = "frames"

    def __init__(self, start: Mapping[str, Any], folders: Sequence[Path]) -> None:
        self.layout = Layout.of(start)
        self._start = start
        self._folders = folders
        self._intake: Triggers | None = None  # the latest, which knows where the frames are

    @property
    def expected(self) -> int | None:
        """Frames that the run should have."""
        return self.layout.expected

    def quantities(self, recipe: Recipe) -> Mapping[str, Quantity]:
        """The maps on the scan's grid, or object and probe."""
        if recipe.method == "epie":
            return epie_quantities(Experiment.of(self._start, self.layout), checked_options(recipe.options))
        shape = self.layout.grid.shape
        return {
            "counts": image_quantity("counts of a frame", shape, "counts"),
            "dark_field": image_quantity("counts outside the direct beam", shape, "counts"),
            "coverage": Quantity("part of the grid that has frames", lower_is_better=False),
            "dose": Quantity("counts in all frames so far", "counts"),
        }

    def metadata(self, recipe: Recipe) -> Mapping[str, Any]:
        """What the images are, and how the scan was taken."""
        entry = self._start[ENTRY]
        height, width = self.layout.shape
        rate = f", {rate:g} Hz" if (rate := entry.get("rate_hz")) else ""
        frames = f"frames of {height}x{width} pixels{rate}"
        if recipe.method == "epie":
            canvas = Experiment.of(self._start, self.layout).canvas
            rows, columns = canvas.shape
            return {
                "image": {"quantity": "phase of the object", "units": "rad", "pixel_size_um": canvas.pixel_um},
                "caption": f"object of {rows}x{columns} pixels of {1e3 * canvas.pixel_um:.3g} nm, {frames}",
            }
        ny, nx = self.layout.grid.shape
        return {
            "image": {"quantity": "counts of a frame", "units": "counts", "pixel_size_um": list(self.layout.pixel_size_um)},
            "caption": f"map of {ny}x{nx} cells, {frames}",
        }

    @property
    def remarks(self) -> Sequence[str]:
        """What was assumed of a scan that was measured elsewhere."""
        return [str(remark) for remark in self._start[ENTRY].get("remarks", [])]

    def intake(self, *, wait_for_end: bool = False) -> Triggers:
        """A new intake."""
        self._intake = Triggers(self._start, self._folders, wait_for_end=wait_for_end)
        return self._intake

    def reconstruction(self, recipe: Recipe) -> Sums | EpieReconstruction:
        """A new reconstruction. Raises ValueError for a recipe that isn't valid."""
        if recipe.method not in METHODS:
            raise ValueError(f"unknown method {recipe.method!r}; the methods of ptychography are {', '.join(METHODS)}")
        if recipe.method == "epie":
            experiment = Experiment.of(self._start, self.layout)
            return EpieReconstruction(experiment, self.layout.saturation, self.layout.grid.shape[1], self._latest, recipe)
        if recipe.options:
            raise ValueError(f"{recipe.method} has no option {', '.join(map(str, recipe.options))}: leave it out")
        return Sums(self.layout)

    def _latest(self) -> Triggers:
        assert self._intake is not None, "there are no frames before there is an intake"
        return self._intake


class Sums:
    """Maps of total counts and of the dark field."""

    options: Mapping[str, Any] = {}

    def __init__(self, layout: Layout) -> None:
        self._maps = SumMaps(layout.grid.shape)
        self._dose = float("nan")

    def update(self, batch: Batch) -> None:
        """Take further frames."""
        self._maps.update(batch.columns["frames"], batch.columns["cell"])
        self._dose = float(batch.columns["dose"][-1])

    def result(self) -> Estimate:
        """The maps now."""
        counts, dark_field = self._maps.result()
        figures = {"coverage": float(np.isfinite(counts).mean()), "dose": self._dose}
        return Estimate({"counts": counts, "dark_field": dark_field}, figures)

    def finish(self) -> Estimate:
        """The maps of all frames."""
        return self.result()
