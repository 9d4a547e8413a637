"""Radiographs with white noise: what connects their documents with `analysis.radiographs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.estimate import Estimate, Quantity, image_quantity
from analysis.radiographs.static_parts import StaticParts
from analysis.techniques.made_rows import MadeRows
from analysis.techniques.radiographs.corrections import Corrections
from analysis.techniques.radiographs.layout import Layout
from analysis.techniques.radiographs.options import checked
from analysis.techniques.radiographs.whitening import Whitening

DECORRELATE_DEFAULTS: Mapping[str, Any] = {"kernel": None}
_FITS_PERCENT = 10.0  # summed correlation that may be left


def decorrelation_quantities(layout: Layout) -> dict[str, Quantity]:
    """Arrays and figures of an estimate."""
    what, units = layout.corrected
    return {
        "radiograph": image_quantity(f"newest radiograph, {what}", layout.shape, units),
        "correlation_percent": Quantity("summed correlation of the noise of neighbours as it was measured", "%"),
        "residual_percent": Quantity("the same after decorrelation, where nothing moves", "%"),
    }


class Decorrelation:
    """Each radiograph deconvolved by the kernel that correlates its noise.

    The kernel is the reference that the recipe or the start document names, or else it is measured with the static frames of the
    run, and stored as a reference.

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
        If there is no kernel and none can be measured, or an option makes no sense.
    """

    def __init__(
        self, layout: Layout, corrections: Callable[[], Corrections], recipe: Recipe, store: ReferenceStore, run: str
    ) -> None:
        self.options: dict[str, Any] = checked("decorrelate", DECORRELATE_DEFAULTS, recipe.options, {})
        self._white = Whitening(self.options["kernel"], layout, corrections, store, run)
        if not self._white.possible:
            raise ValueError(
                "decorrelate needs the kernel of the detector: name its identity as the option kernel, or take static frames in "
                "the run"
            )
        self.options["kernel"] = self._white.identity
        self._layout = layout
        self._before, self._after = StaticParts(), StaticParts()
        self._newest = np.full(layout.shape, np.nan, dtype=np.float32)
        self._made = MadeRows("radiograph")

    @property
    def series(self) -> Mapping[str, Quantity]:
        """What is stored of each radiograph."""
        return {"radiograph": decorrelation_quantities(self._layout)["radiograph"]}

    def update(self, batch: Batch) -> None:
        """Take further radiographs."""
        for number, counts in zip(batch.number.tolist(), batch.columns["counts"], strict=True):
            white = self._white(counts)
            self._before.add(counts)
            self._after.add(white)
            self._newest = self._white.transmission(white)
            self._made.add(number, self._newest)
        self.options["kernel"] = self._white.identity

    def take_rows(self) -> Batch | None:
        """The radiographs since the last call; None if there are none."""
        return self._made.take()

    def result(self) -> Estimate:
        """The newest radiograph, and what is left of the correlation in the series so far."""
        figures = {"correlation_percent": self._before.summed_percent(), "residual_percent": self._after.summed_percent()}
        return Estimate({"radiograph": self._newest}, figures)

    def finish(self) -> Estimate:
        """The last radiograph, and what is left of the correlation; the options say whether the kernel fits."""
        estimate = self.result()
        residual = float(estimate.figures["residual_percent"])
        self.options["kernel_fits"] = bool(abs(residual) <= _FITS_PERCENT) if np.isfinite(residual) else None
        return estimate
