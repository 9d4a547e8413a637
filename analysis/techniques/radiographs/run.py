"""A series of radiographs and its reconstructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.documents.frame_folders import frame_folders
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.estimate import Quantity
from analysis.techniques.protocol import MethodInfo, Reconstruction
from analysis.techniques.radiographs.corrections import Corrections
from analysis.techniques.radiographs.decorrelation import DECORRELATE_DEFAULTS, Decorrelation, decorrelation_quantities
from analysis.techniques.radiographs.intake import RadiographIntake
from analysis.techniques.radiographs.layout import ENTRY, Layout
from analysis.techniques.radiographs.mean import Mean, mean_quantities
from analysis.techniques.radiographs.noise2self import NOISE2SELF_DEFAULTS, Denoising, noise2self_quantities
from analysis.techniques.radiographs.options import checked
from analysis.techniques.radiographs.tomography_options import (
    FBP_DEFAULTS,
    SIRT_DEFAULTS,
    TV_DEFAULTS,
    tomography_options,
    tomography_quantities,
)

METHODS = {
    "mean": MethodInfo("mean", True, "The mean of all radiographs, corrected by dark and flat field."),
    "decorrelate": MethodInfo(
        "decorrelate", False, "Each radiograph with white noise, deconvolved by the measured kernel.", DECORRELATE_DEFAULTS
    ),
    "noise2self": MethodInfo(
        "noise2self",
        False,
        "Each radiograph by a network that learns each pixel from those around it; with white noise.",
        NOISE2SELF_DEFAULTS,
    ),
    "fbp": MethodInfo("fbp", False, "Slices by filtered back-projection.", FBP_DEFAULTS),
    "sirt": MethodInfo("sirt", False, "Slices by SIRT, between bounds.", SIRT_DEFAULTS),
    "tv": MethodInfo("tv", False, "Slices of the least total variation for their misfit, between bounds.", TV_DEFAULTS),
}
"""The methods by name."""


class RadiographRun:
    """One series.

    Parameters
    ----------
    start : mapping
        Its start document.
    store : ReferenceStore
        Where kernels are, and in whose state directory the detector's files are named.

    Raises
    ------
    RunRefused
        If the start document is malformed.
    """

    rows = "radiographs"

    def __init__(self, start: Mapping[str, Any], store: ReferenceStore) -> None:
        self.layout = Layout.of(start)
        self._start = start
        self._store = store
        self._intake: RadiographIntake | None = None  # the latest, which knows the corrections

    @property
    def expected(self) -> int | None:
        """Radiographs that the run should have."""
        return self.layout.expected

    def quantities(self, recipe: Recipe) -> Mapping[str, Quantity]:
        """What an estimate holds."""
        if recipe.method == "mean":
            return mean_quantities(self.layout)
        if recipe.method == "decorrelate":
            return decorrelation_quantities(self.layout)
        if recipe.method == "noise2self":
            return noise2self_quantities(self.layout)
        return tomography_quantities(self.layout, tomography_options(recipe.method, recipe.options))

    def metadata(self, recipe: Recipe) -> Mapping[str, Any]:
        """What the images are, and how the series was taken."""
        height, width = self.layout.shape
        first = next(iter(self.quantities(recipe).values()))
        turned = " with their angles" if self.layout.angles else ""
        return {
            "image": {"quantity": first.meaning, "units": first.units, "pixel_size_um": self.layout.pixel_um},
            "caption": f"radiographs of {height}x{width} pixels{turned}",
        }

    @property
    def remarks(self) -> Sequence[str]:
        """What was assumed of a series that was measured elsewhere."""
        return [str(remark) for remark in self._start[ENTRY].get("remarks", [])]

    def intake(self, *, wait_for_end: bool = False) -> RadiographIntake:
        """A new intake."""
        self._intake = RadiographIntake(self._start, frame_folders(self._store.state_dir), wait_for_end=wait_for_end)
        return self._intake

    def reconstruction(self, recipe: Recipe) -> Reconstruction:
        """A new reconstruction. Raises ValueError for a recipe that isn't valid."""
        if recipe.method not in METHODS:
            raise ValueError(f"unknown method {recipe.method!r}; the methods for radiographs are {', '.join(METHODS)}")
        if recipe.method == "mean":
            checked("mean", {}, recipe.options, {})
            return Mean(self.layout, self._corrections)
        if recipe.method == "decorrelate":
            return Decorrelation(self.layout, self._corrections, recipe, self._store, str(self._start["uid"]))
        if recipe.method == "noise2self":
            return Denoising(self.layout, self._corrections, recipe, self._store, str(self._start["uid"]))
        from analysis.techniques.radiographs.tomography import Tomography  # loads torch

        return Tomography(self.layout, self._corrections, recipe, self._store, str(self._start["uid"]))

    def _corrections(self) -> Corrections:
        assert self._intake is not None, "there are no radiographs before there is an intake"
        return self._intake.corrections
