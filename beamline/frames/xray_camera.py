"""The X-ray camera: a flat panel, or a camera that looks at a scintillator."""

from __future__ import annotations

import sys
from typing import Any

from ophyd.status import StatusBase

from beamline.frames.frame_camera import CONTINUOUS
from beamline.frames.series_camera import SeriesCamera
from beamline.frames.values import FrameSeries, TriggeredFrames


class XrayCamera(SeriesCamera):
    """A camera for radiographs. It takes a series by itself, or a frame for each trigger of the box.

    Parameters
    ----------
    trigger_mode : str
        Text of TriggerMode for one frame a trigger.
    kernel : str, optional
        Identity of the kernel by which the scintillator correlates the noise of neighbouring pixels, as a reference.
    **kwargs
        See `SeriesCamera`.
    """

    def __init__(self, prefix: str, *, trigger_mode: str = "External", kernel: str | None = None, **kwargs: Any):
        self.trigger_mode, self.kernel = trigger_mode, kernel
        self._triggered = False
        super().__init__(prefix, **kwargs)

    def prepare(self, frames: FrameSeries | TriggeredFrames) -> StatusBase:
        """Set up for a series, or for one frame a trigger in a file of its own.

        Returns
        -------
        StatusBase
            It fails as that of `SeriesCamera.prepare` does.
        """
        self._triggered = isinstance(frames, TriggeredFrames)
        if isinstance(frames, FrameSeries):
            return super().prepare(frames)

        def set_up() -> StatusBase:
            self._begin_file()
            self._due = sys.maxsize  # it is to wait for triggers until it is stopped
            self.expected.put(0)
            return self._set_up(
                frames.exposure_s,
                frames.period_s,
                frames.shape,
                image_mode=CONTINUOUS,
                trigger_mode=self.trigger_mode,
                array_counter=frames.before,
            )

        return self._at_rest(set_up)

    def pause(self) -> None:
        """Take no more frames, and say so; a camera that is triggered goes on waiting, for the box stops."""
        if not self._triggered:
            super().pause()

    def unstage(self) -> list[object]:
        """Stop taking frames and close the file."""
        self._triggered = False
        return super().unstage()
