"""The pixel detector: takes a frame for each trigger of the trigger box."""

from __future__ import annotations

from typing import Any

from ophyd.status import StatusBase

from beamline.frames.frame_camera import CONTINUOUS, FrameCamera
from beamline.frames.values import Optics, TriggeredFrames


class PixelDetector(FrameCamera):
    """A detector that takes one frame for each trigger; the number of a frame is that of its trigger.

    Parameters
    ----------
    optics : Optics
    trigger_mode : str
        Text of TriggerMode for one frame a trigger.
    max_rate_hz : float
        Most frames a second.
    **kwargs
        See `FrameCamera`.
    """

    def __init__(
        self, prefix: str, *, optics: Optics, trigger_mode: str = "External", max_rate_hz: float = 3000.0, **kwargs: Any
    ):
        self.optics, self.trigger_mode = optics, trigger_mode
        super().__init__(prefix, max_rate_hz=max_rate_hz, **kwargs)

    def prepare(self, frames: TriggeredFrames) -> StatusBase:
        """Set up for one frame a trigger.

        Raises
        ------
        DetectorError
            If the plugin writes frames of another size than the run says.
        """
        self.expected.put(0)
        return self._set_up(
            frames.exposure_s,
            frames.period_s,
            frames.shape,
            image_mode=CONTINUOUS,
            trigger_mode=self.trigger_mode,
            array_counter=0,
        )
