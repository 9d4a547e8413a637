"""The pixel detector, the box that triggers, the camera that takes frame pairs, and the X-ray camera."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from beamline.config.section import Section
from beamline.frames.halves import Window, side_by_side, why_impossible


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
    """The box that triggers a detector where a stage is, and captures where that was; its fields are a Zebra's."""

    pv: str = Field("TRIG:", description="Text before PC_ARM, PC_GATE_START and the other fields; empty: there is no box.")


class DualCameraSection(Section):
    """The camera that takes frame pairs: an areaDetector whose one sensor sees the scene twice, through beam splitters."""

    pv: str = Field("DUAL:", description="Text before cam1: and HDF1:; empty: there is no such camera.")
    sensor: tuple[int, int] = Field((512, 1024), description="Rows and columns of a frame.")
    pairing: Literal["halves", "consecutive"] = Field(
        "halves",
        description="Whether the two halves of a frame are a pair, or two consecutive frames of a camera without beam splitters.",
    )
    halves: tuple[Window, Window] | None = Field(
        None,
        description="Where the scene is on the sensor, twice: first row, row after the last one, first column, column after "
        "the last one. Default: the left and the right half.",
    )
    max_rate_hz: float = Field(120.0, gt=0, description="Most frames a second that the camera can take, in Hz.")
    dead_time_s: float = Field(0.0, ge=0, le=10, description="Time between exposures that the camera needs, in s.")
    frame_timeout_s: float = Field(
        5.0, gt=0, le=600, description="How long to wait for a frame that does not come before it counts as missing, in s."
    )
    saturation_counts: int | None = Field(
        None, gt=0, description="Counts in a pixel from which it is saturated. Default: not checked."
    )
    pixel_um: float = Field(6.5, gt=0, description="Edge of a pixel, in um.")

    @model_validator(mode="after")
    def _fit(self) -> Self:
        rows, columns = self.sensor
        if rows < 1 or columns < 2:
            raise ValueError(f"sensor must be at least 1 row and 2 columns, not {rows} and {columns}")
        if self.pairing == "consecutive" and self.halves is not None:
            raise ValueError('halves have no meaning with pairing = "consecutive": leave either out')
        if self.windows is not None and (why := why_impossible(self.sensor, self.windows)) is not None:
            raise ValueError(why)
        return self

    @property
    def windows(self) -> tuple[Window, Window] | None:
        """The two halves; None where consecutive frames are pairs."""
        if self.pairing == "consecutive":
            return None
        return side_by_side(self.sensor) if self.halves is None else self.halves


class XrayCameraSection(Section):
    """The X-ray camera: an areaDetector behind a scintillator, such as a flat panel."""

    pv: str = Field("XRAY:", description="Text before cam1: and HDF1:; empty: there is no such camera.")
    sensor: tuple[int, int] = Field((256, 256), description="Rows and columns of a frame.")
    trigger_mode: str = Field(
        "External", min_length=1, description="Text of cam1:TriggerMode that makes one frame of each pulse of the trigger box."
    )
    max_rate_hz: float = Field(60.0, gt=0, description="Most frames a second that the camera can take, in Hz.")
    dead_time_s: float = Field(0.0, ge=0, le=10, description="Time between exposures that the camera needs, in s.")
    frame_timeout_s: float = Field(
        5.0, gt=0, le=600, description="How long to wait for a frame that does not come before it counts as missing, in s."
    )
    saturation_counts: int | None = Field(
        None, gt=0, description="Counts in a pixel from which it is saturated. Default: not checked."
    )
    pixel_um: float = Field(10.0, gt=0, description="Edge of a pixel, in um on the sample or on the masks.")
    kernel: str | None = Field(
        None,
        min_length=1,
        description="Identity of the stored kernel by which the scintillator correlates the noise of neighbouring pixels. "
        "Default: it is measured with the static frames of a run.",
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if min(self.sensor) < 1:
            raise ValueError(f"sensor must be at least 1 row and 1 column, not {self.sensor[0]} and {self.sensor[1]}")
        return self
