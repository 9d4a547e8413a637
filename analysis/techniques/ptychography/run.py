"""A ptychographic scan and its reconstructions: the link between documents and `analysis.ptychography`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.documents.frame_folders import frame_folders
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.estimate import Quantity
from analysis.techniques.protocol import Reconstruction
from analysis.techniques.ptychography.intake import Triggers
from analysis.techniques.ptychography.layout import ENTRY, Layout
from analysis.techniques.ptychography.methods import METHODS
from analysis.techniques.ptychography.scan import Scan


class PtychographyRun:
    """One scan.

    Parameters
    ----------
    start : mapping
        Its start document.
    store : ReferenceStore
        The detector's files may be below its state directory.

    Raises
    ------
    RunRefused
        If the start document is malformed.
    """

    rows = "frames"

    def __init__(self, start: Mapping[str, Any], store: ReferenceStore) -> None:
        self._scan = Scan(start, Layout.of(start), self._latest, store)
        self._folders = frame_folders(store.state_dir)
        self._intake: Triggers | None = None  # the latest one, which knows where the frames are

    @property
    def expected(self) -> int | None:
        """Frames that the run should have."""
        return self._scan.layout.expected

    def quantities(self, recipe: Recipe) -> Mapping[str, Quantity]:
        """Arrays and figures of the recipe's method."""
        return METHODS[recipe.method].quantities(self._scan, recipe)

    def metadata(self, recipe: Recipe) -> Mapping[str, Any]:
        """The meaning of the images, and how the scan was taken."""
        return METHODS[recipe.method].metadata(self._scan, recipe)

    @property
    def remarks(self) -> Sequence[str]:
        """Assumptions about a scan that was measured elsewhere."""
        return [str(remark) for remark in self._scan.start[ENTRY].get("remarks", [])]

    def intake(self, *, wait_for_end: bool = False) -> Triggers:
        """A new intake."""
        self._intake = Triggers(self._scan.start, self._folders, wait_for_end=wait_for_end)
        return self._intake

    def reconstruction(self, recipe: Recipe) -> Reconstruction:
        """A new reconstruction. Raises ValueError for an invalid recipe."""
        if recipe.method not in METHODS:
            raise ValueError(f"unknown method {recipe.method!r}; the methods of ptychography are {', '.join(METHODS)}")
        return METHODS[recipe.method].reconstruction(self._scan, recipe)

    def _latest(self) -> Triggers:
        assert self._intake is not None, "there are no frames before there is an intake"
        return self._intake
