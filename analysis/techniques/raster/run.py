"""A raster scan and its map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.recipe import Recipe
from analysis.estimate import Estimate, Quantity
from analysis.techniques.protocol import MethodInfo
from analysis.techniques.raster.intake import RasterIntake
from analysis.techniques.raster.layout import Layout

METHODS = {"map": MethodInfo("map", True, "The mean counts of each chemical element, or detector, in each cell of the grid.")}
"""The methods by name."""


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """Raise ValueError if a recipe has options: there are none."""
    if options := recipe.get("options"):
        raise ValueError(f"map has no option {', '.join(map(str, options))}: leave it out")


class RasterRun:
    """One raster scan.

    Parameters
    ----------
    start : mapping
        Its start document.

    Raises
    ------
    RunRefused
        If the start document is malformed.
    """

    rows = "points"

    def __init__(self, start: Mapping[str, Any]) -> None:
        self.layout, self._start = Layout.of(start), start

    @property
    def expected(self) -> int | None:
        """Number of points that the run should have."""
        return self.layout.expected

    def quantities(self, recipe: Recipe) -> Mapping[str, Quantity]:
        """The map of each channel, the number of exposures of each cell, and the figures."""
        layout = self.layout
        channels, (height, width) = len(layout.channels), layout.shape
        return {
            "map": Quantity("map of each element", self._units, "<f4", (channels, height, width), ("channel", "y", "x")),
            "exposures": Quantity("exposures of each cell", None, "<f4", (height, width), ("y", "x")),
            "coverage": Quantity("part of the map that was measured", lower_is_better=False),
            "dose": Quantity("monitor counts so far", "counts"),
        }

    def metadata(self, recipe: Recipe) -> Mapping[str, Any]:
        """The channels of the map and its unit."""
        layout = self.layout
        normalised = layout.monitor is not None
        what = "counts" if layout.spectra is None else "fluorescence counts"
        height, width = layout.shape
        return {
            "channels": list(layout.channels),
            "image": {
                "quantity": what + (" per incident count" if normalised else ""),
                "units": self._units,
                "pixel_size_um": list(layout.steps_um),
            },
            "caption": f"map of {height}x{width} cells",
        }

    @property
    def remarks(self) -> Sequence[str]:
        """None: nothing is assumed."""
        return []

    def intake(self, *, wait_for_end: bool = False) -> RasterIntake:
        """A new intake."""
        return RasterIntake(self._start, wait_for_end=wait_for_end)

    def reconstruction(self, recipe: Recipe) -> Map:
        """A new reconstruction. Raises ValueError for a recipe that isn't valid."""
        if recipe.method not in METHODS:
            raise ValueError(f"unknown method {recipe.method!r}; the methods for raster scans are {', '.join(METHODS)}")
        check_recipe({"options": recipe.options})
        return Map(self.layout)

    @property
    def _units(self) -> str:
        return "counts" if self.layout.monitor is None else "1"


class Map:
    """Counts of each cell divided by those of the monitor, or by the number of exposures without a monitor.

    Parameters
    ----------
    layout : Layout
    """

    options: Mapping[str, Any] = {}

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        cells = layout.shape[0] * layout.shape[1]
        self._counts = np.zeros((cells, len(layout.channels)))
        self._monitor, self._exposures = np.zeros(cells), np.zeros(cells)
        self._dose = 0.0

    def update(self, batch: Batch) -> None:
        """Take further exposures."""
        cells, monitor = batch.columns["cell"], batch.columns["monitor"]
        np.add.at(self._counts, cells, batch.columns["counts"])  # one after the other, so that batches do not change the rounding
        np.add.at(self._monitor, cells, monitor)
        np.add.at(self._exposures, cells, 1.0)
        for one in monitor.tolist():
            self._dose += one

    def result(self) -> Estimate:
        """Return the present map; NaN in cells without an exposure."""
        with np.errstate(invalid="ignore", divide="ignore"):
            means = self._counts / self._monitor[:, None]
        maps = means.T.reshape(-1, *self._layout.shape).astype(np.float32)
        exposures = self._exposures.reshape(self._layout.shape).astype(np.float32)
        dose = self._dose if self._layout.monitor is not None else float("nan")
        return Estimate({"map": maps, "exposures": exposures}, {"coverage": float(np.mean(exposures > 0)), "dose": dose})

    finish = result
