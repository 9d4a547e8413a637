"""A motor record that says why it does not move."""

from __future__ import annotations

from typing import Any

import numpy as np
from ophyd import Component as Cpt
from ophyd import EpicsMotor, EpicsSignal, EpicsSignalRO
from ophyd.status import StatusBase
from ophyd.utils.epics_pvs import AlarmSeverity

from beamline.motion.lines import Axis
from beamline.motion.units import UM_PER_UNIT, LengthUnit
from beamline.statuses import fail_if_lost

# Bits of MSTA, the motor's status word.
_STATUS_BITS = {6: "slips or stalls", 9: "its controller reports a problem", 12: "its controller does not answer"}


class AxisBlocked(RuntimeError):
    """An axis got a command to move while its record does not accept any."""


class _Setpoint(EpicsSignal):
    """A motor's setpoint that checks a move against the soft limits that the record has now.

    ophyd keeps a copy of them, in which a later update of VAL puts those from the time of connection again.
    """

    @property
    def limits(self) -> tuple[float, float]:
        """Soft limits (low, high), in the motor's unit; both the same: none."""
        return self.parent.low_limit_travel.get(), self.parent.high_limit_travel.get()


class StageAxis(EpicsMotor):
    """A motor record whose moves fail as soon as its IOC is lost, and that says what keeps it from moving.

    A readback in MINOR alarm does not fail a move: whether the stage is in its place is decided by the place.
    """

    tolerated_alarm = AlarmSeverity.MINOR

    user_setpoint = Cpt(_Setpoint, ".VAL", limits=True, auto_monitor=True)
    max_velocity = Cpt(EpicsSignalRO, ".VMAX", kind="omitted")
    base_velocity = Cpt(EpicsSignalRO, ".VBAS", kind="omitted")
    go_switch = Cpt(EpicsSignalRO, ".SPMG", string=True, auto_monitor=True, kind="omitted")
    commands_disabled = Cpt(EpicsSignalRO, ".DISP", auto_monitor=True, kind="omitted")
    status_word = Cpt(EpicsSignalRO, ".MSTA", kind="omitted")
    readback_deadband = Cpt(EpicsSignalRO, ".MDEL", kind="omitted")
    retry_deadband = Cpt(EpicsSignalRO, ".RDBD", kind="omitted")

    def set(self, position: float, **kwargs: Any) -> StatusBase:
        """Move; see `EpicsMotor.set`.

        Raises
        ------
        AxisBlocked
            If the record would not move; the error names the field that says so.
        """
        status = self.begin(position, **kwargs)
        fail_if_lost(status, self)
        return status

    def begin(self, position: float, **kwargs: Any) -> StatusBase:
        """Move, for a caller who watches by himself whether the IOC is lost; else as `set`."""
        if halted := self._halted():
            raise AxisBlocked(f"{self.name} cannot move: {halted}")
        status: StatusBase = super().set(position, **kwargs)
        return status

    def unit(self) -> str:
        """Read what the record counts in (EGU) now."""
        return str(self.motor_egu.get(use_monitor=False))

    def dial_sign(self) -> float:
        """Read whether user and dial positions grow in the same direction (1) or not (-1)."""
        return -1.0 if self.user_offset_dir.get() in (1, "Neg") else 1.0

    def axis(self, units: LengthUnit) -> Axis:
        """Read what a scan must know of this axis, which the configuration says to count in these units."""
        scale = UM_PER_UNIT[units]
        return Axis(
            name=self.prefix,
            units=self.unit(),
            um_per_unit=scale,
            expected_units=units,
            low_um=scale * self.low_limit_travel.get(),
            high_um=scale * self.high_limit_travel.get(),
            max_velocity_um_s=scale * self.max_velocity.get(),
            min_velocity_um_s=scale * self.base_velocity.get(),
            velocity_um_s=scale * self.velocity.get(),
            acceleration_s=self.acceleration.get(),
            offset_um=scale * self.user_offset.get(),
            sign=self.dial_sign(),
        )

    def why_blocked(self) -> str | None:
        """Say why no scan should begin with this axis, with the field that shows it; None if it can."""
        if halted := self._halted():
            return halted
        if self.user_readback.alarm_severity == AlarmSeverity.INVALID:
            return f"{self._alarm()}: its position is not to be believed. Is its controller switched on?"
        return None

    def trouble(self) -> list[str]:
        """Say everything that the record shows about a move that failed."""
        found = [blocked] if (blocked := self.why_blocked()) else []
        word = _number(self.status_word)
        found += [f"{self.prefix}.MSTA is {word}: {text}" for bit, text in _STATUS_BITS.items() if word >> bit & 1]
        for field, switch in (("LLS", self.low_limit_switch), ("HLS", self.high_limit_switch)):
            if switch.get():
                found.append(f"{self.prefix}.{field} is 1: it is on a limit switch")
        if AlarmSeverity.NO_ALARM < self.user_readback.alarm_severity < AlarmSeverity.INVALID:
            found.append(self._alarm())
        return found

    def deadbands(self) -> dict[str, float]:
        """How far the stage may be from what is read (MDEL), and from where it was sent (RDBD), in the motor's unit."""
        return {f"{self.prefix}.MDEL": self.readback_deadband.get(), f"{self.prefix}.RDBD": self.retry_deadband.get()}

    def _halted(self) -> str | None:
        state = self.go_switch.get()
        if state in ("Stop", "Pause"):
            return f"{self.prefix}.SPMG is {state}: set it to Go"
        if disabled := _number(self.commands_disabled):
            return f"{self.prefix}.DISP is {disabled}: the record takes no commands. Set it to 0"
        return None

    def _alarm(self) -> str:
        readback = self.user_readback
        status = getattr(readback.alarm_status, "name", readback.alarm_status)
        return f"{readback.pvname} is in {AlarmSeverity(readback.alarm_severity).name} alarm ({status})"


def _number(signal: EpicsSignalRO) -> int:
    """The value of a whole-number field; 0 where an IOC serves it without a value, which arrives as an empty array."""
    value = np.asarray(signal.get())
    return int(value) if value.size == 1 else 0
