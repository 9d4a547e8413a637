"""Maps of total counts and of the dark field, on the scan's grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.recipe import Recipe
from analysis.estimate import Estimate, Quantity, image_quantity
from analysis.ptychography import SumMaps
from analysis.techniques.ptychography.layout import Layout
from analysis.techniques.ptychography.scan import Scan


def sums_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """There are no options; raises ValueError if some are given."""
    if options:
        raise ValueError(f"sums has no option {', '.join(map(str, options))}: leave it out")
    return {}


def sums_quantities(scan: Scan, recipe: Recipe) -> dict[str, Quantity]:
    """Arrays and figures of an estimate."""
    shape = scan.layout.grid.shape
    return {
        "counts": image_quantity("counts of a frame", shape, "counts"),
        "dark_field": image_quantity("counts outside the direct beam", shape, "counts"),
        "coverage": Quantity("part of the grid that has frames", lower_is_better=False),
        "dose": Quantity("counts in all frames so far", "counts"),
    }


def sums_metadata(scan: Scan, recipe: Recipe) -> dict[str, Any]:
    """The meaning of the images."""
    ny, nx = scan.layout.grid.shape
    return {
        "image": {"quantity": "counts of a frame", "units": "counts", "pixel_size_um": list(scan.layout.pixel_size_um)},
        "caption": f"map of {ny}x{nx} cells, {scan.frames_told}",
    }


def sums_reconstruction(scan: Scan, recipe: Recipe) -> Sums:
    """A new reconstruction. Raises ValueError for a recipe with options: there are none."""
    sums_options(recipe.options)
    return Sums(scan.layout)


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
