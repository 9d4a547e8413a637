"""What draws frames, as the process that writes them sees it."""

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
    """What such a process is told at its start; it is pickled."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""

    @property
    def frames_per_chunk(self) -> int:
        """Frames in one chunk of the file."""

    def source(self) -> FrameSource:
        """Make what draws the frames."""
