"""Radiographs denoised by Noise2Self: learned from the first ones of a series, applied to every one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.estimate import Estimate, Quantity, image_quantity
from analysis.techniques.made_rows import MadeRows
from analysis.techniques.radiographs.blind_spots import BlindSpots
from analysis.techniques.radiographs.corrections import Corrections
from analysis.techniques.radiographs.layout import Layout
from analysis.techniques.radiographs.options import checked

if TYPE_CHECKING:
    from analysis.radiographs.noise2self import Noise2Self

NOISE2SELF_DEFAULTS: Mapping[str, Any] = {"radiographs": 16, "steps": 1600, "kernel": None}
NOISE2SELF_LIMITS = {"radiographs": (1, 1024), "steps": (1, 100_000)}
_ADDED = 1.5  # times the power of a band of frequencies: a texture was drawn
TRUST = {
    "heldout_loss": Quantity(
        "error of guessed logarithms where not learned, over their variance", lower_is_better=True, useless_from=1.0
    ),
    "learned_loss": Quantity("the same where it was learned; well below: memorised noise", lower_is_better=True),
    "residual_correlation": Quantity("correlation of neighbours in what was removed"),
    "residual_mean": Quantity("mean of what was removed, in deviations of the noise"),
    "null_structure": Quantity("what is made of noise alone, over that noise", lower_is_better=True),
    "lattice_peaks": Quantity("lattice peaks that denoising added", lower_is_better=True, doubtful_from=1.0),
    "added_texture": Quantity("power after denoising over before", lower_is_better=True, doubtful_from=_ADDED),
    "learned_steps": Quantity("steps of the training that count"),
}
"""How far to trust a network and what it made of one radiograph."""

_FIGURES = {**TRUST, "number": Quantity("number of the newest radiograph")}


def noise2self_quantities(layout: Layout) -> dict[str, Quantity]:
    """Arrays and figures of an estimate."""
    what, units = layout.corrected
    return {
        "denoised": image_quantity(f"newest radiograph denoised, {what}", layout.shape, units),
        "radiograph": image_quantity(f"newest radiograph, {what}", layout.shape, units),
        **_FIGURES,
    }


def figures_of(network: Noise2Self, image: np.ndarray, denoised: np.ndarray) -> dict[str, float]:
    """How far to trust a network and what it made of an image (H, W)."""
    from analysis.radiographs.trust import trust

    figures = {name: float(value) for name, value in vars(trust(network, image, denoised)).items()}
    figures |= {"heldout_loss": network.heldout_loss, "learned_loss": network.learned_loss}
    return figures | {"learned_steps": float(network.steps)}


class Denoising:
    """Each radiograph denoised by a network that was trained on the first ones.

    The result for a radiograph depends only on these and on the radiograph itself.

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
        If an option makes no sense, or there is no such kernel.
    """

    def __init__(
        self, layout: Layout, corrections: Callable[[], Corrections], recipe: Recipe, store: ReferenceStore, run: str
    ) -> None:
        self.options: dict[str, Any] = checked("noise2self", NOISE2SELF_DEFAULTS, recipe.options, NOISE2SELF_LIMITS)
        if recipe.device != "cpu":
            raise ValueError("noise2self runs on the CPU alone: leave the device out")
        self._spots = BlindSpots(self.options["kernel"], layout, corrections, store, run)
        self.options["kernel"] = self._spots.kernel
        self._layout, self._seed = layout, recipe.seed
        self._first: list[tuple[int, np.ndarray]] = []
        self._awaited = min(self.options["radiographs"], layout.expected or self.options["radiographs"])
        self._network: Noise2Self | None = None
        self._newest: tuple[int, np.ndarray, np.ndarray] | None = None  # its number, itself, denoised
        self._made = MadeRows("denoised")

    @property
    def series(self) -> Mapping[str, Quantity]:
        """What is stored of each radiograph."""
        return {"denoised": noise2self_quantities(self._layout)["denoised"]}

    def update(self, batch: Batch) -> None:
        """Take further radiographs."""
        for number, counts in zip(batch.number.tolist(), batch.columns["counts"], strict=True):
            image = self._spots.transmission(counts)
            if self._network is not None:
                self._denoise(number, image)
                continue
            self._first.append((number, image))
            if len(self._first) == self._awaited:
                self._learn()

    def take_rows(self) -> Batch | None:
        """The denoised radiographs since the last call, (B, H, W); None if there are none."""
        return self._made.take()

    def result(self) -> Estimate:
        """The newest radiograph, denoised; before the first ones have come an image of nothing."""
        if self._newest is None or self._network is None:
            nothing = np.full(self._layout.shape, np.nan, dtype="<f4")
            return Estimate({"denoised": nothing, "radiograph": nothing}, dict.fromkeys(_FIGURES, float("nan")))
        number, image, denoised = self._newest
        figures = figures_of(self._network, image, denoised) | {"number": float(number)}
        return Estimate({"denoised": denoised, "radiograph": image}, figures)

    def finish(self) -> Estimate:
        """The last radiograph, denoised."""
        if self._network is None:
            self._learn()
        return self.result()

    def _learn(self) -> None:
        images = np.stack([image for _, image in self._first])
        self._network = self._spots.learned(images, self._seed, self.options["steps"])
        self.options["kernel"] = self._spots.kernel
        for number, image in self._first:
            self._denoise(number, image)
        self._first.clear()

    def _denoise(self, number: int, image: np.ndarray) -> None:
        assert self._network is not None
        denoised = self._network(image)
        self._newest = (number, image, denoised)
        self._made.add(number, denoised)
