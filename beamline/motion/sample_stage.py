"""The stage that carries the sample."""

from __future__ import annotations

import math
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, Signal
from ophyd import FormattedComponent as FCpt

from beamline.motion.lines import Axis
from beamline.motion.stage_axis import StageAxis
from beamline.motion.units import UM_PER_UNIT, LengthUnit, why_wrong_unit
from beamline.numpy_types import NumpyTyped
from beamline.statuses import check_connected


class Place(NumpyTyped, Device):
    """A place of the stage, in um of the user's coordinates."""

    y_um = Cpt(Signal, value=math.nan, kind="normal")
    x_um = Cpt(Signal, value=math.nan, kind="normal")


class SampleStage(NumpyTyped, Device):
    """Two motors that carry the sample.

    While it is staged a plan may change the velocity of x: `unstage` sets it back.

    Parameters
    ----------
    y, x : str
        PV suffixes of the two motor records.
    units : {"mm", "um"}
        Units of both.
    move_timeout_s : float
        Longest time that a move to the beginning of a line may take, in s.
    """

    y = FCpt(StageAxis, "{prefix}{_y_suffix}", kind="hinted")
    x = FCpt(StageAxis, "{prefix}{_x_suffix}", kind="hinted")
    place = Cpt(Place, kind="omitted", doc="Where it was in the middle of the last exposure, as a plan notes it")

    def __init__(
        self,
        prefix: str = "",
        *,
        y: str = "SAMPLE:Y",
        x: str = "SAMPLE:X",
        units: LengthUnit = "mm",
        move_timeout_s: float = 60.0,
        **kwargs: Any,
    ):
        self._y_suffix, self._x_suffix = y, x
        self.units: LengthUnit = units
        self.move_timeout_s = move_timeout_s
        super().__init__(prefix, **kwargs)
        for motor in (self.y, self.x):
            motor.user_setpoint.kind = "omitted"

    @property
    def um_per_unit(self) -> float:
        """Micrometres in one unit of the motors."""
        return UM_PER_UNIT[self.units]

    def why_unusable(self) -> str | None:
        """Say which motor record counts in another unit than the configuration says; None if both are right."""
        wrong = (why_wrong_unit(axis.prefix, axis.unit(), self.units, "sample_stage") for axis in (self.y, self.x))
        return next(filter(None, wrong), None)

    def why_not_ready(self) -> str | None:
        """Say what keeps an axis from moving, before anything moves; None if nothing does."""
        return next(filter(None, (axis.why_blocked() for axis in (self.y, self.x))), None)

    def trouble(self) -> str | None:
        """Say what the motor records show about a move that failed; None if nothing."""
        return "; ".join(text for axis in (self.y, self.x) for text in axis.trouble()) or None

    def axes(self) -> tuple[Axis, Axis]:
        """Read from the motor records what a scan must know of y and x before it moves them."""
        return self.y.axis(self.units), self.x.axis(self.units)

    def stage(self) -> list[object]:
        """Remember the velocity of x, so that `unstage` can set it back."""
        self.stage_sigs[self.x.velocity] = self.x.velocity.get()
        return super().stage()

    def unstage(self) -> list[object]:
        """Set the velocity of x back."""
        check_connected(self)
        return super().unstage()
