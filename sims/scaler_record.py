"""A scaler record that counts the photons of a simulated experiment."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

from caproto import SkipWrite
from caproto.server import PVGroup, pvproperty

from sims.faults import Faults
from sims.light import Light
from sims.physics import Counts
from sims.scaler_fields import CLOCK_HZ

CLOCK, MONITOR, BUCKET = 1, 2, 3
"""Channels of the 10 MHz clock, the incident-beam monitor and the bucket diode."""

Expose = Callable[[float, float], Awaitable[Counts]]
"""Counts for some seconds of which a part (0 to 1) has light."""


async def _put_count(fields: Any, instance: Any, value: str) -> None:
    await fields.parent.group._put_count(value)
    raise SkipWrite


async def _put_mode(fields: Any, instance: Any, value: str) -> None:
    if value == "AutoCount":
        raise ValueError(f"{fields.parent.pvname}.CONT: AutoCount is not simulated; write OneShot")


async def _put_preset(fields: Any, instance: Any, value: float) -> None:
    if not 0 < value < math.inf:
        raise ValueError(f"{fields.parent.pvname}.TP must be above 0 s, not {value}")
    await getattr(fields, f"preset_{CLOCK}").write(value * CLOCK_HZ)


class ScalerRecord(PVGroup):
    """A scaler record in one-shot mode with a clock, a monitor and a diode.

    Parameters
    ----------
    prefix : str
        The record's name.
    expose : callable
        Makes one exposure of the experiment.
    light : Light
    faults : Faults
        Tells which triggers are lost or late.
    speed : float
        Divides the time that counting takes; the counts stay those of the full preset.

    Notes
    -----
    A put to CNT is answered when counting has ended. Writing 0 ends it early with the counts so far. The counts are
    written before CNT returns to Done, so a client that reads after completion reads the new ones.
    """

    scaler = pvproperty(name="", value=0.0, record="scaler", doc="Scaler record; see its fields CNT, TP, S1 to S3")
    scaler.fields.count.putter(_put_count)
    scaler.fields.count_mode.putter(_put_mode)
    scaler.fields.preset_time.putter(_put_preset)

    def __init__(self, prefix: str, *, expose: Expose, light: Light, faults: Faults, speed: float = 1.0, **kwargs: Any):
        super().__init__(prefix, **kwargs)
        self._expose, self._light, self._faults, self._speed = expose, light, faults, speed
        self._stop = asyncio.Event()
        self._counting: asyncio.Task | None = None
        self._in_turn = asyncio.Lock()

    async def initialise(self) -> None:
        """Fill the fields; call it before the server answers."""
        fields = self.scaler.field_inst
        for channel, name in ((CLOCK, "clock"), (MONITOR, "monitor"), (BUCKET, "diode")):
            await getattr(fields, f"name_{channel}").write(name)
        await getattr(fields, f"gate_{CLOCK}").write("Y")
        await fields.preset_time.write(fields.preset_time.value)

    async def _put_count(self, value: str) -> None:
        """Start or stop counting, and wait for the end."""
        if value == "Done":
            self._stop.set()
        else:
            if self._counting and self._stop.is_set():
                # It was told to stop a moment ago; this trigger is a new one.
                await asyncio.wait([self._counting])
            if not self._counting:
                self._stop.clear()
                self._counting = asyncio.create_task(self._count())
        if self._counting:
            await asyncio.shield(self._counting)

    async def _count(self) -> None:
        fields = self.scaler.field_inst
        async with self._in_turn:
            await fields.count.write("Count", verify_value=False)
            try:
                counts = await self._shoot(fields.preset_time.value, fields.delay.value)
                clock = float(round(counts.seconds * CLOCK_HZ))
                for channel, value in ((CLOCK, clock), (MONITOR, counts.monitor), (BUCKET, counts.bucket)):
                    await getattr(fields, f"counts_{channel}").write(value)
                await fields.elapsed_time.write(counts.seconds)
            finally:
                self._counting = None
                await fields.count.write("Done", verify_value=False)

    async def _shoot(self, preset_s: float, delay_s: float) -> Counts:
        """Wait for the trigger, count, and return what was counted."""
        fault = await self._faults.next_trigger()
        if fault.lost:
            await self._stop.wait()
        if self._stop.is_set() or await self._stopped_within(fault.late_s + delay_s / self._speed):
            return Counts(0.0, 0.0, 0.0)
        mark, began = self._light.mark(), asyncio.get_running_loop().time()
        seconds = preset_s
        if await self._stopped_within(preset_s / self._speed):
            seconds = min(preset_s, (asyncio.get_running_loop().time() - began) * self._speed)
        return await self._expose(seconds, self._light.fraction_since(mark))

    async def _stopped_within(self, seconds: float) -> bool:
        """Wait, at most until someone writes 0 to CNT; say whether that happened."""
        if seconds <= 0:
            return False
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return False
        return True
