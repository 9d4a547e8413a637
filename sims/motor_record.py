"""A motor record that moves a simulated stage."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import numpy as np
from caproto import AlarmStatus, ChannelAlarm, SkipWrite
from caproto.server import PVGroup, PvpropertyDouble, pvproperty

from sims.motion import Travel, follow, legs
from sims.track import Track

REFRESH_S = 0.1
"""Seconds between readbacks of a moving stage. The end of a move is reported at once, independently of them."""


class _Setpoint(PvpropertyDouble):
    """A setpoint that leaves the check of the limits to its putter, which sets LVIO instead of refusing the put."""

    async def verify_value(self, value: Any) -> Any:
        return await self.putter(self, value)


async def _put_stop(fields: Any, instance: Any, value: int) -> int:
    if value:
        await fields.parent.group._halt()
    return 0


async def _put_switch(fields: Any, instance: Any, value: str) -> None:
    await instance.write(value, verify_value=False)
    group = fields.parent.group
    if value == "Stop":
        await group._halt()
    group.wake()
    raise SkipWrite


async def _put_home(fields: Any, instance: Any, value: int) -> int:
    """Drive to the home switch, which sits at the dial's zero."""
    if value:
        await fields.parent.group._go(0.0)
    return 0


async def _put_offset(fields: Any, instance: Any, value: float) -> None:
    change = value - instance.value
    await instance.write(value, verify_value=False)
    # The limits are written last: an update of VAL after them would send the old limits to a client that watches both.
    await fields.parent.group._report(settled=True)
    await fields.parent.group._shift_limits(change)
    raise SkipWrite


async def _put_direction(fields: Any, instance: Any, value: str) -> None:
    if value != "Pos":
        raise ValueError(f"{fields.parent.pvname}.DIR: a reversed axis is not simulated; write Pos")


async def _put_velocity(fields: Any, instance: Any, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{fields.parent.pvname}.VELO must be above 0 mm/s, not {value}")


async def _put_ramp(fields: Any, instance: Any, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{fields.parent.pvname}.ACCL must be 0 s or more, not {value}")


async def _put_low_limit(fields: Any, instance: Any, value: float) -> None:
    await fields.parent.write_metadata(publish=False, lower_ctrl_limit=value, lower_disp_limit=value)


async def _put_high_limit(fields: Any, instance: Any, value: float) -> None:
    await fields.parent.write_metadata(publish=False, upper_ctrl_limit=value, upper_disp_limit=value)


class MotorRecord(PVGroup):
    """A motor record with velocity, acceleration, limits, play in the drive and an encoder that errs.

    Parameters
    ----------
    prefix : str
        The record's name.
    limits_mm : pair of float
        Soft limits at the start (LLM, HLM); both the same: none.
    velocity : float
        VELO at the start, mm/s.
    units : str
        Unit that replaces mm here and below: "deg" for a rotation.
    play_mm : float
        Lost motion of the drive. The stage stays behind by this much after a move downwards, which the encoder on the stage
        sees; a BDST larger than the play takes it up.
    jitter_mm : float
        Standard deviation of the encoder's error. Each move has a new error, so the reading of a resting stage is steady.
    seed : sequence of int
        Seed of the encoder's errors; the n-th move has the same error whatever the timing.
    speed : float
        Divides travel times.

    Notes
    -----
    A put to VAL with completion completes at the end of the move. A put beyond the limits sets LVIO and moves nothing, as the
    real record does; so does a put while SPMG is Stop, and one is refused while DISP is set. While SPMG is Pause a move
    waits. A new VAL while moving redirects the stage; STOP halts it where it is and sets VAL to that place. `track` gives the
    position of the drive at any recent time, by the event loop's clock.
    """

    async def _put_value(self, instance: Any, value: float) -> None:
        fields = instance.field_inst
        if fields.set_use_switch.value in ("Set", 1):
            await self._redefine(value)
            raise SkipWrite
        if self.disabled.value:
            raise ValueError(f"{instance.pvname}: DISP is set, the record takes no commands")
        if fields.stop_pause_move_go.value == "Stop":
            raise SkipWrite
        low, high = fields.user_low_limit.value, fields.user_high_limit.value
        violated = low < high and not low <= value <= high
        await fields.limit_violation.write(int(violated))
        if not violated:
            await instance.write(value, verify_value=False, update_fields=False)
            await self._go(value - fields.user_offset.value)
        raise SkipWrite

    motor = pvproperty(
        name="",
        dtype=_Setpoint,
        value=0.0,
        record="motor",
        precision=5,
        units="mm",
        put=_put_value,
        doc="Desired position (VAL) in mm; its fields are those of a motor record",
    )
    # A number; caproto's own field is text.
    disabled = pvproperty(name=".DISP", value=0, doc="1: the record takes no commands (DISP)")
    motor.fields.stop.putter(_put_stop)
    motor.fields.stop_pause_move_go.putter(_put_switch)
    motor.fields.home_forward.putter(_put_home)
    motor.fields.home_reverse.putter(_put_home)
    motor.fields.user_offset.putter(_put_offset)
    motor.fields.user_direction.putter(_put_direction)
    motor.fields.velocity.putter(_put_velocity)
    motor.fields.seconds_to_velocity.putter(_put_ramp)
    motor.fields.user_low_limit.putter(_put_low_limit)
    motor.fields.user_high_limit.putter(_put_high_limit)

    def __init__(
        self,
        prefix: str,
        *,
        limits_mm: tuple[float, float],
        velocity: float,
        units: str = "mm",
        play_mm: float = 0.0,
        jitter_mm: float = 0.0,
        seed: tuple[int, ...] = (0,),
        speed: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(prefix, **kwargs)
        self._limits, self._velocity, self._units = limits_mm, velocity, units
        self._play, self._jitter, self._seed, self._speed = play_mm, jitter_mm, seed, speed
        self._drive = self._stage = 0.0  # dial positions in mm: of the drive, and of the stage that it moves
        self.track = Track()
        self._error = 0.0
        self._severity = 0
        self._moves = 0
        self._goals: list[float] = []
        self._wake = asyncio.Event()
        self._moving: asyncio.Task | None = None
        self._in_turn = asyncio.Lock()
        self._stalled = self._redirected = False

    @property
    def stage_mm(self) -> float:
        """True position of the stage, whatever its encoder and offset say."""
        return self._stage

    @property
    def stalled(self) -> bool:
        """Whether the drive is stuck: a stuck move continues when this becomes false again, or ends with STOP."""
        return self._stalled

    @stalled.setter
    def stalled(self, value: bool) -> None:
        self._stalled = value
        self.wake()

    def wake(self) -> None:
        """Notify a move under way that something has changed."""
        self._wake.set()

    @property
    def _held(self) -> bool:
        return self._stalled or self.motor.field_inst.stop_pause_move_go.value == "Pause"

    async def report_alarm(self, severity: int) -> None:
        """Put the readback in alarm: 0 none, 1 MINOR, 2 MAJOR, 3 INVALID."""
        self._severity = severity
        await self._report()

    async def report_problem(self, problem: bool) -> None:
        """Say in MSTA whether the controller reports a problem."""
        await self.motor.field_inst.motor_status.write(_PROBLEM if problem else 0)

    async def initialise(self) -> None:
        """Fill the fields; call it before the server answers."""
        fields = self.motor.field_inst
        await fields.velocity.write(self._velocity)
        await fields.seconds_to_velocity.write(0.05)
        await fields.engineering_units.write(self._units)
        await self.motor.write_metadata(units=self._units)
        await fields.stop_pause_move_go.write("Go", verify_value=False)
        # An alarm of its own: a shared one would be cleared by every write to another field.
        fields.user_readback_value.alarm = ChannelAlarm()
        await fields.user_low_limit.write(self._limits[0])
        await fields.user_high_limit.write(self._limits[1])
        await fields.motor_step_size.write(1e-5)
        await fields.limit_violation.write(0)
        for name, field in fields.pvdb.items():
            if name in _POSITION_FIELDS:
                await field.write_metadata(precision=5, units=self._units)
        await self._report()

    async def _redefine(self, value: float) -> None:
        """Assign another value to the present position, as a put to VAL does while SET is 1."""
        await self.motor.field_inst.user_offset.write(value - self._drive)

    async def _shift_limits(self, change: float) -> None:
        fields = self.motor.field_inst
        for limit in (fields.user_low_limit, fields.user_high_limit):
            await limit.write(limit.value + change)

    async def _halt(self) -> None:
        if self._moving:
            self._goals.clear()
            self._wake.set()
            await self._finished()

    async def _go(self, dial: float) -> None:
        """Start a move to a dial position, or redirect the present one to it, and wait for the end."""
        approach = self.motor.field_inst.bl_distance.value
        self._goals[:] = legs(self._drive, dial, approach)
        if self._moving:
            self._redirected = True
            self._wake.set()
        else:
            self._moving = asyncio.create_task(self._move())
        await self._finished()

    async def _finished(self) -> None:
        if self._moving:
            await asyncio.shield(self._moving)

    async def _move(self) -> None:
        fields = self.motor.field_inst
        async with self._in_turn:
            await fields.done_moving_to_value.write(0)
            await fields.motor_is_moving.write(1)
            self._moves += 1
            while self._goals:
                await self._leg(self._goals[0])
            if self._jitter:
                draws = np.random.default_rng((*self._seed, self._moves))
                self._error = float(draws.normal(0.0, self._jitter))
            self._moving = None
            await self._report(settled=True)
            await fields.motor_is_moving.write(0)
            await fields.done_moving_to_value.write(1)

    async def _leg(self, goal: float) -> None:
        """Drive to one goal; return early when stopped or redirected."""
        fields = self.motor.field_inst
        self._redirected = False
        travel = Travel(self._drive, goal, fields.velocity.value, fields.seconds_to_velocity.value)
        await fields.direction_of_travel.write(int(goal >= self._drive))
        clock = asyncio.get_running_loop().time
        duration, elapsed, mark = travel.duration, 0.0, clock()
        stalled: bool | None = None
        while elapsed < duration:
            self._wake.clear()
            if not self._goals or self._redirected:
                break
            if stalled != self._held:
                stalled = self._held
                self.track.go(mark, travel, elapsed, 0.0 if stalled else self._speed)
            await _wait(self._wake, None if stalled else min((duration - elapsed) / self._speed, REFRESH_S))
            now = clock()
            elapsed, mark = elapsed + (0.0 if stalled else (now - mark) * self._speed), now
            self._put_drive(travel.position(elapsed))
            if elapsed < duration:
                await self._report()
        self.track.rest(mark, self._drive)
        if self._goals and not self._redirected:
            self._put_drive(goal)
            self._goals.pop(0)

    def _put_drive(self, dial: float) -> None:
        self._drive = dial
        self._stage = follow(self._stage, dial, self._play)

    async def _report(self, settled: bool = False) -> None:
        """Publish the readbacks, and also VAL if the stage came to rest elsewhere than requested."""
        fields = self.motor.field_inst
        offset = fields.user_offset.value
        if settled and abs(self.motor.value - (self._drive + offset)) > 1e-9:
            await self.motor.write(self._drive + offset, verify_value=False, update_fields=False)
        dial = self._stage + self._error
        await fields.dial_readback_value.write(dial)
        status = AlarmStatus.STATE if self._severity else AlarmStatus.NO_ALARM
        # Without verification, or caproto would determine the alarm again.
        await fields.user_readback_value.write(dial + offset, verify_value=False, severity=self._severity, status=status)


_PROBLEM = 1 << 9
_POSITION_FIELDS = ("RBV", "DRBV", "OFF", "HLM", "LLM", "BDST")


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for an event, for at most this many seconds."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
