"""The camera that takes frame pairs: its one sensor sees the scene twice, through beam splitters."""

from __future__ import annotations

from typing import Any, Literal

from beamline.frames.halves import Window
from beamline.frames.series_camera import SeriesCamera


class DualCamera(SeriesCamera):
    """A camera with a global shutter.

    Parameters
    ----------
    halves : pair of windows, optional
        Where the scene is seen on the sensor. Without them, frames 2k and 2k + 1 of a series are a pair.
    **kwargs
        See `SeriesCamera`.
    """

    def __init__(self, prefix: str, *, halves: tuple[Window, Window] | None, **kwargs: Any):
        self.halves = halves
        super().__init__(prefix, **kwargs)

    @property
    def pairing(self) -> Literal["halves", "consecutive"]:
        """Which frames, or halves of a frame, are a pair."""
        return "consecutive" if self.halves is None else "halves"
