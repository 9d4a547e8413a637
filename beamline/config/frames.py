"""The pixel detector and the box that triggers it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from beamline.config.section import Section


class PixelDetectorSection(Section):
    """The pixel detector: an areaDetector whose IOC writes frames into HDF5 files."""

    pv: str = Field("PIX:", description="Text before cam1: and HDF1:; empty: there is no such detector.")
    trigger_mode: str = Field(
        "External", min_length=1, description="Text of cam1:TriggerMode that makes one frame of each pulse of the trigger box."
    )
    max_rate_hz: float = Field(3000.0, gt=0, description="Most frames a second that the detector can take, in Hz.")
    dead_time_s: float = Field(0.0, ge=0, le=10, description="Time between exposures that the detector needs, in s.")
    frame_timeout_s: float = Field(
        5.0, gt=0, le=600, description="How long to wait for a frame that does not come before it counts as missing, in s."
    )
    saturation_counts: int | None = Field(
        None, gt=0, description="Counts in a pixel from which it is saturated. Default: not checked."
    )
    pixel_um: float = Field(100.0, gt=0, description="Edge of a pixel, in um.")
    distance_mm: float = Field(10_000.0, gt=0, description="Distance from the sample to the detector, in mm.")
    geometry: Literal["far_field", "near_field"] = Field(
        "far_field", description="Whether the detector sees diffraction patterns of the far field, or of the near field."
    )


class TriggerBoxSection(Section):
    """The box that triggers the pixel detector where the stage is, and captures where that was; its fields are a Zebra's."""

    pv: str = Field("TRIG:", description="Text before PC_ARM, PC_GATE_START and the other fields; empty: there is no box.")
