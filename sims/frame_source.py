"""The interface between a source of frames and the process that writes them."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sims.frame_messages import Take


class FrameSource(Protocol):
    """Draws the frames of one detector."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""

    def draw(self, take: Take) -> np.ndarray:
        """Draw frames, shape (n, H, W), uint16."""


class SourceOptions(Protocol):
    """Options of such a process at its start; they are pickled."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""

    @property
    def frames_per_chunk(self) -> int:
        """Number of frames in one chunk of the file."""

    def source(self) -> FrameSource:
        """Return the source that draws the frames."""
