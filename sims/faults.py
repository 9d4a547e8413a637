"""Faults that can be switched on while the simulation runs, each by its PV."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from caproto.server import PVGroup, pvproperty


@dataclass(frozen=True)
class TriggerFault:
    """How one trigger of a bucket detector fails.

    Parameters
    ----------
    lost : bool
        The detector never starts to count.
    late_s : float
        The detector starts to count this much later, in s.
    """

    lost: bool = False
    late_s: float = 0.0


class Faults(PVGroup):
    """Switches for the faults that occur at a beamline.

    Parameters
    ----------
    prefix : str
    on_stall, on_alarm, on_problem, on_dump : callable
        Coroutine functions, called with the new values of StalledAxis, AxisAlarm (axis and severity), AxisProblem and
        BeamDump.
    """

    async def _check_count(self, instance: Any, value: int) -> None:
        if value < 0:
            raise ValueError(f"{instance.pvname} counts triggers; write 0 or more, not {value}")

    async def _check_delay(self, instance: Any, value: float) -> None:
        if not value >= 0:
            raise ValueError(f"{instance.pvname} is a delay; write 0 s or more, not {value}")

    async def _put_stall(self, instance: Any, value: int) -> None:
        _check_axis(instance, value)
        await self._on_stall(value)

    async def _put_alarm(self, instance: Any, value: int) -> None:
        _check_axis(instance, abs(value) // 10)
        await self._on_alarm(value // 10, value % 10)

    async def _put_problem(self, instance: Any, value: int) -> None:
        _check_axis(instance, value)
        await self._on_problem(value)

    async def _put_dump(self, instance: Any, value: int) -> None:
        await self._on_dump(bool(value))

    lost_trigger = pvproperty(
        name="LostTrigger",
        value=0,
        put=_check_count,
        doc="Number of next triggers that do not start counting: CNT (or Acquire) stays 1 until 0 is written. Counts down",
    )
    late_trigger = pvproperty(
        name="LateTrigger",
        value=0.0,
        units="s",
        precision=3,
        put=_check_delay,
        doc="Delay of the next trigger in s of real time, whatever the speed. Returns to 0",
    )
    stalled_axis = pvproperty(
        name="StalledAxis",
        value=0,
        put=_put_stall,
        doc="Stuck axis: 1 MASK:Y, 2 MASK:X, 3 SAMPLE:Y, 4 SAMPLE:X, 5 ROT:A, 0 none. A stuck move ends with STOP or after 0",
    )
    axis_alarm = pvproperty(
        name="AxisAlarm",
        value=0,
        put=_put_alarm,
        doc="Alarm of an axis's readback: ten times its number as in StalledAxis, plus 1 MINOR, 2 MAJOR, 3 INVALID. 0: none",
    )
    axis_problem = pvproperty(
        name="AxisProblem", value=0, put=_put_problem, doc="Axis, numbered as in StalledAxis, whose controller reports a problem"
    )
    shutter_stuck = pvproperty(name="ShutterStuck", value=0, doc="1: the shutter stays where it is")
    beam_dump = pvproperty(name="BeamDump", value=0, put=_put_dump, doc="1: the ring has lost its beam. 0: it is stored again")
    diode_saturation = pvproperty(
        name="DiodeSaturation",
        value=0,
        doc="1: the diode's amplifier is far too sensitive, so that its converter runs at its highest frequency",
    )

    def __init__(
        self,
        prefix: str,
        *,
        on_stall: Callable[[int], Awaitable[None]],
        on_alarm: Callable[[int, int], Awaitable[None]],
        on_problem: Callable[[int], Awaitable[None]],
        on_dump: Callable[[bool], Awaitable[None]],
        **kwargs: Any,
    ):
        super().__init__(prefix, **kwargs)
        self._on_stall, self._on_dump = on_stall, on_dump
        self._on_alarm, self._on_problem = on_alarm, on_problem

    @property
    def sticks(self) -> bool:
        """Whether the shutter is stuck."""
        return bool(self.shutter_stuck.value)

    @property
    def saturates(self) -> bool:
        """Whether the diode saturates."""
        return bool(self.diode_saturation.value)

    async def next_trigger(self) -> TriggerFault:
        """Return the fault of the next trigger, and use it up."""
        if self.lost_trigger.value:
            await self.lost_trigger.write(self.lost_trigger.value - 1)
            return TriggerFault(lost=True)
        late_s = self.late_trigger.value
        if late_s:
            await self.late_trigger.write(0.0)
        return TriggerFault(late_s=late_s)


def _check_axis(instance: Any, value: int) -> None:
    if value not in range(6):
        raise ValueError(
            f"{instance.pvname} takes 0 (none), 1 (MASK:Y), 2 (MASK:X), 3 (SAMPLE:Y), 4 (SAMPLE:X) or 5 (ROT:A), not {value}"
        )
