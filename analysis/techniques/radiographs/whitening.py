"""The kernel that correlates a detector's noise: named, or measured with the static frames of the run; and what undoes it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analysis.documents.references import Reference, ReferenceDiffers, ReferenceMissing, ReferenceName, ReferenceStore
from analysis.radiographs.correlation import correlation_by_differences
from analysis.radiographs.kernel import decorrelated, kernel_of
from analysis.techniques.radiographs.corrections import Corrections
from analysis.techniques.radiographs.layout import Layout

KIND = "kernel"


class Whitening:
    """Deconvolution by the kernel that the recipe or the start document names, or that static frames measure.

    A kernel that is measured is stored as a reference.

    Parameters
    ----------
    identity : str or None
        Of the kernel that the recipe names.
    layout : Layout
    corrections : callable
        Returns the corrections of the run; called when radiographs have come.
    store : ReferenceStore
    run : str
        Uid of the run.

    Attributes
    ----------
    identity : str or None
        Of the kernel; None before it is measured.

    Raises
    ------
    ValueError
        If there is no such kernel.
    """

    def __init__(
        self, identity: str | None, layout: Layout, corrections: Callable[[], Corrections], store: ReferenceStore, run: str
    ) -> None:
        self.identity = identity or layout.kernel
        self._corrections, self._store, self._run = corrections, store, run
        self._static = layout.static is not None
        self._kernel = None if self.identity is None else _loaded(store, self.identity)
        self._flat: np.ndarray | None = None

    @property
    def possible(self) -> bool:
        """Whether there is a kernel, or static frames to measure one with were announced."""
        return self.identity is not None or self._static

    def __call__(self, counts: np.ndarray) -> np.ndarray:
        """Counts above dark (..., H, W) with white noise, float32; NaN at dead pixels and beside them."""
        return decorrelated(counts, self._known())

    def transmission(self, white: np.ndarray) -> np.ndarray:
        """White counts over the flat field, deconvolved as well; the counts where there is no flat field."""
        corrections = self._corrections()
        if corrections.flat is None:
            return white
        if self._flat is None:
            self._flat = decorrelated(np.where(corrections.dead, np.nan, corrections.flat), self._known())
        return np.asarray(white / self._flat)

    def _known(self) -> np.ndarray:
        if self._kernel is None:
            corrections = self._corrections()
            if not corrections.static:
                raise ValueError("no static frames came, so that no kernel can be measured: take some, or name the option kernel")
            frames = corrections.above_dark(np.concatenate(corrections.static))
            self._kernel = kernel_of(correlation_by_differences(frames))
            reference = Reference(KIND, {"kernel": self._kernel}, name="noise of neighbours", runs=(self._run,))
            self.identity = self._store.save(reference)
        return self._kernel


def _loaded(store: ReferenceStore, identity: str) -> np.ndarray:
    try:
        return store.load(ReferenceName(KIND, identity)).arrays["kernel"]
    except (ReferenceMissing, ReferenceDiffers) as error:
        raise ValueError(str(error)) from error
