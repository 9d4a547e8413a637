"""A series of frame pairs according to its start document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.documents.recipe import Recipe
from analysis.estimate import Quantity, image_quantity
from analysis.techniques.pairs.denoising import PairDenoising
from analysis.techniques.pairs.intake import PairIntake
from analysis.techniques.pairs.layout import Layout
from analysis.techniques.pairs.methods import METHODS


class PairsRun:
    """One series.

    Parameters
    ----------
    start : mapping
        Its start document.
    folders : sequence of Path
        Folders in which the detector's files may be.

    Raises
    ------
    RunRefused
        If the start document is malformed.
    """

    rows = "pairs"
    remarks: Sequence[str] = ()

    def __init__(self, start: Mapping[str, Any], folders: Sequence[Path]) -> None:
        self.layout = Layout.of(start)
        self._start = start
        self._folders = folders
        self._intake: PairIntake | None = None  # the latest

    @property
    def expected(self) -> int | None:
        """Pairs that the run should have."""
        return self.layout.expected

    def quantities(self, recipe: Recipe) -> Mapping[str, Quantity]:
        """Images of the newest pair, and figures of their reliability."""
        shape = self.layout.pair_shape
        return {
            "denoised": image_quantity("newest pair, denoised", shape, "counts"),
            "mean": image_quantity("mean of its two images", shape, "counts"),
            "spread": image_quantity("half the difference of what was made of either image alone", shape, "counts"),
            "heldout_loss": Quantity("1 - correlation with the other image, where not learned", lower_is_better=True),
            "above_floor": Quantity("the same above that of the scene without noise; below 0: memorised noise"),
            "learned_above_floor": Quantity("the same where it was learned; below 0: memorised noise"),
            "residual_correlation": Quantity("correlation of neighbours in what was removed, beyond the noise's own"),
            "residual_mean": Quantity("mean of what was removed, in deviations of the noise"),
            "null_structure": Quantity("what is made of noise alone, over that noise"),
            "spread_ratio": Quantity("spread over the error that the other image tells"),
            "noise_across": Quantity("part of the noise that both images have in common"),
            "noise_along_y": Quantity("correlation of the noise of pixels one above the other"),
            "noise_along_x": Quantity("correlation of the noise of pixels side by side"),
            "shift_y": Quantity("by how much the second image was shifted", "pixel"),
            "shift_x": Quantity("by how much the second image was shifted", "pixel"),
            "gain_ratio": Quantity("light of the second image over that of the first"),
            "number": Quantity("number of the newest pair"),
        }

    def metadata(self, recipe: Recipe) -> Mapping[str, Any]:
        """The meaning of the images, and how the series was taken."""
        height, width = self.layout.pair_shape
        rate = f", {self.layout.rate_hz:g} Hz" if self.layout.rate_hz else ""
        size = self.layout.pixel_um
        return {
            "image": {"quantity": "counts", "units": "counts", "pixel_size_um": [size, size]},
            "caption": f"pairs of {height}x{width} pixels{rate}",
        }

    def intake(self, *, wait_for_end: bool = False) -> PairIntake:
        """A new intake."""
        self._intake = PairIntake(self._start, self._folders, wait_for_end=wait_for_end)
        return self._intake

    def reconstruction(self, recipe: Recipe) -> PairDenoising:
        """A new reconstruction. Raises ValueError for an invalid recipe."""
        if recipe.method not in METHODS:
            raise ValueError(f"unknown method {recipe.method!r}; the methods of frame pairs are {', '.join(METHODS)}")
        return PairDenoising(self.layout, METHODS[recipe.method], recipe, self._latest)

    def _latest(self) -> PairIntake:
        assert self._intake is not None, "there are no pairs before there is an intake"
        return self._intake
