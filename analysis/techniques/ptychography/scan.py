"""The data of a run that its reconstruction methods may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from analysis.documents.references import ReferenceStore
from analysis.techniques.ptychography.counts import StoredFrames
from analysis.techniques.ptychography.layout import ENTRY, Layout


@dataclass(frozen=True)
class Scan:
    """One scan.

    Attributes
    ----------
    start : mapping
        Its start document.
    layout : Layout
    stored : callable
        Returns the frames; called when they are needed, because they are not known before the first documents.
    store : ReferenceStore
    """

    start: Mapping[str, Any]
    layout: Layout
    stored: Callable[[], StoredFrames]
    store: ReferenceStore

    @property
    def frames_told(self) -> str:
        """A description of the frames for users."""
        height, width = self.layout.shape
        rate = self.start[ENTRY].get("rate_hz")
        return f"frames of {height}x{width} pixels" + (f", {rate:g} Hz" if rate else "")
