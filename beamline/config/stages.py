"""The mask stage, the sample stage and the rotation."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from beamline.config.section import Section


class MaskStageSection(Section):
    """The stage that brings a mask into the beam."""

    y: str = Field("MASK:Y", description="Motor record of the vertical axis.")
    x: str = Field("MASK:X", description="Motor record of the horizontal axis.")
    units: Literal["mm", "um"] = Field("mm", description="Units of both motor records; EGU must say the same.")
    move_timeout_s: float = Field(60.0, gt=0, le=3600, description="Longest time that a move may take, in s.")
    offset_tolerance_um: float | None = Field(
        None,
        gt=0,
        description="Distance from a mask's position beyond which a realization is not to be trusted, in um. "
        "Default: a quarter of a mask pixel.",
    )

    @model_validator(mode="after")
    def _axes_differ(self) -> Self:
        if self.y == self.x:
            raise ValueError(f"y and x must differ: both name the motor {self.y!r}")
        return self


class SampleStageSection(Section):
    """The stage that carries the sample."""

    y: str = Field("SAMPLE:Y", description="Motor record of the vertical axis; y and x empty: there is no sample stage.")
    x: str = Field("SAMPLE:X", description="Motor record of the horizontal axis, along which lines of fly scans run.")
    units: Literal["mm", "um"] = Field("mm", description="Units of both motor records; EGU must say the same.")
    move_timeout_s: float = Field(
        60.0, gt=0, le=3600, description="Longest time that a move to the beginning of a line may take, in s."
    )

    @model_validator(mode="after")
    def _axes_differ(self) -> Self:
        if self.y == self.x and self.y:
            raise ValueError(f"y and x must differ: both name the motor {self.y!r}")
        if bool(self.y) != bool(self.x):
            raise ValueError("y and x must both be named, or both be empty where there is no sample stage")
        return self


class RotationStageSection(Section):
    """The stage that turns the sample."""

    motor: str = Field("ROT:A", description="Motor record, in degrees; empty: there is no rotation.")
    move_timeout_s: float = Field(60.0, gt=0, le=3600, description="Longest time that a move to another angle may take, in s.")
