"""The stage that carries the sample."""

from __future__ import annotations

from typing import Any

from ophyd import Device, EpicsMotor
from ophyd import FormattedComponent as FCpt

from beamline.numpy_types import NumpyTyped


class SampleStage(NumpyTyped, Device):
    """Two motors that carry the sample (positions in mm).

    Parameters
    ----------
    y, x : str
        PV suffixes of the two motor records.
    """

    y = FCpt(EpicsMotor, "{prefix}{_y_suffix}", kind="hinted")
    x = FCpt(EpicsMotor, "{prefix}{_x_suffix}", kind="hinted")

    def __init__(self, prefix: str = "", *, y: str = "SAMPLE:Y", x: str = "SAMPLE:X", **kwargs: Any):
        self._y_suffix, self._x_suffix = y, x
        super().__init__(prefix, **kwargs)
        for motor in (self.y, self.x):
            motor.user_setpoint.kind = "omitted"
