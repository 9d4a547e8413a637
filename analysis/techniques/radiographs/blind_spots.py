"""Noise2Self on the radiographs of a run: made white where that can be done, tested, learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from analysis.documents.references import ReferenceStore
from analysis.radiographs.neighbour_noise import refusal_of_blind_spots
from analysis.techniques.radiographs.corrections import Corrections
from analysis.techniques.radiographs.layout import Layout
from analysis.techniques.radiographs.whitening import Whitening

if TYPE_CHECKING:
    from analysis.radiographs.noise2self import Noise2Self

_TESTED = 8  # radiographs
_SMALLEST = 32  # pixels along each side


class BlindSpots:
    """Prepares radiographs for a network that guesses each pixel from those around it.

    They are decorrelated where a kernel is named, or the run has static frames to measure one with. In any case the noise of
    neighbours is tested: with the first static or flat frames of the run, or else with the radiographs themselves.

    Parameters
    ----------
    kernel : str or None
        Identity of the kernel that the recipe names.
    layout : Layout
    corrections : callable
        Returns the corrections of the run; called when radiographs have come.
    store : ReferenceStore
    run : str
        Uid of the run.

    Raises
    ------
    ValueError
        If the radiographs are too small, or there is no such kernel.
    """

    def __init__(
        self, kernel: str | None, layout: Layout, corrections: Callable[[], Corrections], store: ReferenceStore, run: str
    ) -> None:
        if min(layout.shape) < _SMALLEST:
            height, width = layout.shape
            raise ValueError(
                f"noise2self learns from what is around a pixel, and needs radiographs of {_SMALLEST}x{_SMALLEST} pixels or "
                f"more, not {height}x{width}"
            )
        self._corrections = corrections
        white = Whitening(kernel, layout, corrections, store, run)
        self._white = white if white.possible else None

    @property
    def kernel(self) -> str | None:
        """Identity of the kernel, if there is one; None before it is measured."""
        return None if self._white is None else self._white.identity

    def transmission(self, counts: np.ndarray) -> np.ndarray:
        """Counts above dark (H, W) over the flat field, decorrelated, float32; the counts where there is no flat field."""
        if self._white is not None:
            return self._white.transmission(self._white(counts))
        flat = self._corrections().flat
        return counts if flat is None else np.asarray(counts / flat)

    def learned(self, images: np.ndarray, seed: int, steps: int) -> Noise2Self:
        """A network trained on what `transmission` made, (N, H, W).

        Raises
        ------
        ValueError
            If the noise of neighbours is correlated.
        """
        if self._white is None:
            cure = "decorrelate the radiographs first, by static frames in the run or the option kernel"
        else:
            cure = "the kernel does not fit these radiographs; measure it again with static frames"
        still = self._corrections().still[:_TESTED]
        if len(still) < 2:
            cure += (
                ". The run has neither flat fields nor static frames, so the series itself was tested, and a scene that moves "
                "everywhere looks like correlated noise. Take flat fields in the run, and their noise is tested instead"
            )
            tested = images[:_TESTED]
        else:
            tested = still if self._white is None else self._white(still)
        if refusal := refusal_of_blind_spots(tested, cure):
            raise ValueError(refusal)
        from analysis.radiographs.noise2self import train  # loads torch

        return train(images, seed, steps=steps)
