"""Radiographs with white noise: what connects their documents with `analysis.radiographs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.recipe import Recipe
from analysis.documents.references import Reference, ReferenceDiffers, ReferenceMissing, ReferenceName, ReferenceStore
from analysis.estimate import Estimate, Quantity, image_quantity
from analysis.radiographs.correlation import correlation_by_differences
from analysis.radiographs.kernel import decorrelated, kernel_of
from analysis.radiographs.static_parts import StaticParts
from analysis.techniques.radiographs.corrections import Corrections
from analysis.techniques.radiographs.layout import Layout

DECORRELATE_DEFAULTS: Mapping[str, Any] = {"kernel": None}
KIND = "kernel"
_FITS_PERCENT = 10.0  # summed correlation that may be left


def decorrelation_quantities(layout: Layout) -> dict[str, Quantity]:
    """Arrays and figures of an estimate."""
    what, units = ("transmission", None) if layout.flats else ("counts above dark", "counts")
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
        if unknown := [str(name) for name in recipe.options if name not in DECORRELATE_DEFAULTS]:
            raise ValueError(f"decorrelate has no option {', '.join(unknown)}; it has kernel")
        identity = recipe.options.get("kernel") or layout.kernel
        if identity is None and layout.static is None:
            raise ValueError(
                "decorrelate needs the kernel of the detector: name its identity as the option kernel, or take static frames in "
                "the run"
            )
        self.options: dict[str, Any] = {"kernel": identity}
        self._kernel = None if identity is None else _loaded(store, identity)
        self._layout, self._corrections, self._store, self._run = layout, corrections, store, run
        self._before, self._after = StaticParts(), StaticParts()
        self._newest = np.full(layout.shape, np.nan, dtype=np.float32)
        self._flat: np.ndarray | None = None
        self._done: list[tuple[int, np.ndarray]] = []

    @property
    def series(self) -> Mapping[str, Quantity]:
        """What is stored of each radiograph."""
        return {"radiograph": decorrelation_quantities(self._layout)["radiograph"]}

    def update(self, batch: Batch) -> None:
        """Take further radiographs."""
        if self._kernel is None:
            self._measure()
        assert self._kernel is not None
        flat = self._corrections().flat
        if self._flat is None and flat is not None:
            self._flat = decorrelated(np.where(self._corrections().dead, np.nan, flat), self._kernel)
        for number, counts in zip(batch.number.tolist(), batch.columns["counts"], strict=True):
            sharp = decorrelated(counts, self._kernel)
            self._before.add(counts)
            self._after.add(sharp)
            self._newest = sharp if self._flat is None else sharp / self._flat
            self._done.append((number, self._newest))

    def take_rows(self) -> Batch | None:
        """The radiographs since the last call; None if there are none."""
        if not self._done:
            return None
        numbers, images = zip(*self._done, strict=True)
        self._done = []
        return Batch(np.array(numbers, dtype=np.int64), {"radiograph": np.stack(images)}, np.array(numbers, dtype=np.int64))

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

    def _measure(self) -> None:
        corrections = self._corrections()
        if not corrections.static:
            raise ValueError("no static frames came, so that no kernel can be measured: take some, or name the option kernel")
        frames = corrections.above_dark(np.concatenate(corrections.static))
        self._kernel = kernel_of(correlation_by_differences(frames))
        reference = Reference(KIND, {"kernel": self._kernel}, name="noise of neighbours", runs=(self._run,))
        self.options["kernel"] = self._store.save(reference)


def _loaded(store: ReferenceStore, identity: str) -> np.ndarray:
    try:
        return store.load(ReferenceName(KIND, identity)).arrays["kernel"]
    except (ReferenceMissing, ReferenceDiffers) as error:
        raise ValueError(str(error)) from error
