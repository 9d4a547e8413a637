"""The mask stage: a positioner that moves by mask index and reads back which mask is really in the beam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, Signal, SignalRO
from ophyd import FormattedComponent as FCpt
from ophyd.status import StatusBase
from ophyd.utils import LimitError

from beamline.mask_plate import MaskPlate, MaskPlateError
from beamline.motion.lines import Axis
from beamline.motion.stage_axis import StageAxis
from beamline.motion.units import UM_PER_UNIT, LengthUnit, why_wrong_unit
from beamline.numpy_types import NumpyTyped
from beamline.statuses import fail_if_lost


class MaskLimitError(MaskPlateError, LimitError):
    """A mask lies beyond the soft limits of the stage."""


class PlateSignal(SignalRO):
    """A quantity that follows from the plate and the motors' readbacks."""

    def __init__(self, *args: Any, quantity: int, units: str | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._quantity, self._units = quantity, units

    def get(self, **_: Any) -> int | float:
        """Work it out from where the motors are now."""
        self._readback = self.parent.nearest()[self._quantity]
        motors = self.parent.y, self.parent.x
        self._metadata["timestamp"] = max(motor.user_readback.timestamp for motor in motors)
        return self._readback

    def describe(self) -> dict[str, Any]:
        """Describe it, with units."""
        self.get()  # the type is that of the value
        description = super().describe()
        if self._units is not None:
            description[self.name]["units"] = self._units
        description[self.name]["source"] = f"plate:{self.parent.plate.name}"
        return description


class MaskStage(NumpyTyped, Device):
    """Two motors that carry a mask plate.

    `set(index)` brings one mask into the beam. What is read is never what was asked for but what follows from the
    motors' readbacks: the nearest mask (`..._index`), and how far it is off (`..._offset_y_um`, `..._offset_x_um`).

    Parameters
    ----------
    y, x : str
        PV suffixes of the two motor records.
    units : {"mm", "um"}
        What both count in.
    move_timeout_s : float
        Longest time that a move may take, in s.
    offset_tolerance_um : float, optional
        Offset beyond which a realization is not to be trusted, in um. Default: a quarter of a mask pixel.
    """

    y = FCpt(StageAxis, "{prefix}{_y_suffix}", kind="normal")
    x = FCpt(StageAxis, "{prefix}{_x_suffix}", kind="normal")
    index = Cpt(PlateSignal, quantity=0, kind="hinted")
    offset_y_um = Cpt(PlateSignal, quantity=1, units="um", kind="normal")
    offset_x_um = Cpt(PlateSignal, quantity=2, units="um", kind="normal")
    user_offset = Cpt(Signal, value=0, kind="omitted", doc="An index has none; bluesky's %wa shows the one of each positioner")

    def __init__(
        self,
        prefix: str = "",
        *,
        y: str = "MASK:Y",
        x: str = "MASK:X",
        units: LengthUnit = "mm",
        move_timeout_s: float = 60.0,
        offset_tolerance_um: float | None = None,
        **kwargs: Any,
    ):
        self._y_suffix, self._x_suffix = y, x
        self.units: LengthUnit = units
        self.move_timeout_s = move_timeout_s
        self._offset_tolerance_um = offset_tolerance_um
        self._plate: MaskPlate | None = None
        super().__init__(prefix, **kwargs)
        for motor in (self.y, self.x):
            motor.user_readback.kind = "normal"
            motor.user_setpoint.kind = "omitted"

    def mount(self, plate: MaskPlate) -> None:
        """Tell the stage which plate it carries."""
        self._plate = plate

    @property
    def plate(self) -> MaskPlate:
        """The mounted plate.

        Raises
        ------
        MaskPlateError
            If none has been mounted.
        """
        if self._plate is None:
            raise MaskPlateError(f"no mask plate is mounted: call {self.name}.mount(plate) first")
        return self._plate

    @property
    def offset_tolerance_um(self) -> float:
        """Offset beyond which a realization is not to be trusted, in um."""
        if self._offset_tolerance_um is not None:
            return self._offset_tolerance_um
        return self.plate.pixel_size_um / 4

    def nearest(self) -> tuple[int, float, float]:
        """Return the mask nearest to the beam now, and its offset (y, x) in um."""
        return self.plate.nearest(*(axis.user_readback.get() * self._mm_per_unit for axis in (self.y, self.x)))

    @property
    def position(self) -> int:
        """The mask that is nearest to the beam now."""
        return self.nearest()[0]

    @property
    def limits(self) -> tuple[int, int]:
        """The first and the last mask of the mounted plate."""
        return 0, len(self.plate) - 1

    @property
    def um_per_unit(self) -> float:
        """Micrometres in one unit of the motors."""
        return UM_PER_UNIT[self.units]

    @property
    def _mm_per_unit(self) -> float:
        return self.um_per_unit / 1000.0

    def axes(self) -> tuple[Axis, Axis]:
        """Read from the motor records what a scan must know of y and x before it moves them."""
        return self.y.axis(self.units), self.x.axis(self.units)

    def why_unusable(self) -> str | None:
        """Say which motor record counts in another unit than the configuration says; None if both are right."""
        wrong = (why_wrong_unit(axis.prefix, axis.unit(), self.units, "mask_stage") for axis in (self.y, self.x))
        return next(filter(None, wrong), None)

    def why_not_ready(self) -> str | None:
        """Say what keeps an axis from moving, or from telling its place well enough; None if nothing does."""
        for axis in (self.y, self.x):
            if blocked := axis.why_blocked():
                return blocked
            for field, deadband in axis.deadbands().items():
                if (deadband_um := deadband * UM_PER_UNIT[self.units]) > self.offset_tolerance_um:
                    return (
                        f"{field} lets the stage be {deadband_um:g} um away from where it seems to be, but a mask may be "
                        f"{self.offset_tolerance_um:g} um off its place at most: lower {field}, or raise [mask_stage] "
                        "offset_tolerance_um"
                    )
        return None

    def trouble(self) -> str | None:
        """Say what the motor records show about a move that failed; None if nothing."""
        return "; ".join(text for axis in (self.y, self.x) for text in axis.trouble()) or None

    def check_value(self, index: int) -> None:
        """Raise if a mask is not on the plate or beyond the soft limits; nothing moves."""
        self.check_indices([index])

    def check_indices(self, indices: Iterable[int]) -> list[int]:
        """Check that each mask is on the plate and within the soft limits; nothing moves.

        Returns
        -------
        list of int
            The indices.

        Raises
        ------
        MaskPlateError
            If there is no such mask.
        MaskLimitError
            If the stage may not go there.
        """
        checked = [self.plate.checked_index(index) for index in indices]
        for axis, motor in enumerate((self.y, self.x)):
            low, high = (limit * self._mm_per_unit for limit in motor.limits)
            if low >= high:  # a motor record has no limits then
                continue
            for index in checked:
                position = self.plate.positions_mm[index, axis]
                if not low <= position <= high:
                    raise MaskLimitError(
                        f"mask {index} is at {position:.3f} mm, beyond the soft limits of {motor.name} ({low:g} to {high:g} mm). "
                        "Widen them if the stage can go there, or leave the mask out"
                    )
        return checked

    def set(self, index: int) -> StatusBase:
        """Bring a mask into the beam.

        Returns
        -------
        StatusBase
            Done when both motors have stopped; `index` then tells which mask is in the beam. Fails if a motor does, or if
            its IOC is lost.

        Raises
        ------
        MaskPlateError
            If there is no such mask, or the stage may not go there.
        AxisBlocked
            If a motor record is stopped or paused.
        """
        (mask,) = self.check_indices([index])
        y, x = (float(position) / self._mm_per_unit for position in self.plate.positions_mm[mask])
        both: StatusBase = self.y.begin(y, timeout=self.move_timeout_s) & self.x.begin(x, timeout=self.move_timeout_s)
        for motor in (self.y, self.x):
            fail_if_lost(both, motor)  # of both, or the cause would be lost on the way from the one that fails
        return both
