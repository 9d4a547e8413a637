"""The stage that turns the sample."""

from __future__ import annotations

from typing import Any

from ophyd import Device
from ophyd import FormattedComponent as FCpt

from beamline.motion.stage_axis import StageAxis
from beamline.motion.sweeps import RotationAxis
from beamline.motion.units import why_wrong_unit
from beamline.numpy_types import NumpyTyped
from beamline.statuses import check_connected


class RotationStage(NumpyTyped, Device):
    """A motor that turns the sample, in degrees.

    While it is staged a plan may change its velocity: `unstage` sets it back.

    Parameters
    ----------
    motor : str
        PV suffix of the motor record.
    move_timeout_s : float
        Longest time that a move to another angle may take, in s.
    """

    angle = FCpt(StageAxis, "{prefix}{_motor}", kind="hinted")

    def __init__(self, prefix: str = "", *, motor: str = "ROT:A", move_timeout_s: float = 60.0, **kwargs: Any):
        self._motor = motor
        self.move_timeout_s = move_timeout_s
        super().__init__(prefix, **kwargs)
        self.angle.user_setpoint.kind = "omitted"

    def why_unusable(self) -> str | None:
        """Say that the motor record does not count in degrees; None if it does."""
        return why_wrong_unit(self.angle.prefix, self.angle.unit(), "deg", "rotation_stage")

    def why_not_ready(self) -> str | None:
        """Say what keeps it from moving, before anything moves; None if nothing does."""
        return self.angle.why_blocked()

    def trouble(self) -> str | None:
        """Say what the motor record shows about a move that failed; None if nothing."""
        return "; ".join(self.angle.trouble()) or None

    def axis(self) -> RotationAxis:
        """Read from the motor record what a scan must know before it turns."""
        motor = self.angle
        return RotationAxis(
            name=motor.prefix,
            low_deg=motor.low_limit_travel.get(),
            high_deg=motor.high_limit_travel.get(),
            max_velocity_deg_s=motor.max_velocity.get(),
            min_velocity_deg_s=motor.base_velocity.get(),
            velocity_deg_s=motor.velocity.get(),
            acceleration_s=motor.acceleration.get(),
            offset_deg=motor.user_offset.get(),
            sign=motor.dial_sign(),
        )

    def stage(self) -> list[object]:
        """Remember the velocity, so that `unstage` can set it back."""
        self.stage_sigs[self.angle.velocity] = self.angle.velocity.get()
        return super().stage()

    def unstage(self) -> list[object]:
        """Set the velocity back."""
        check_connected(self)
        return super().unstage()
