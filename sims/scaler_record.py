"""A scaler record that counts the photons of a simulated experiment."""

from __future__ import annotations

import math
from typing import Any

from caproto import SkipWrite
from caproto.server import PVGroup, pvproperty

from sims.faults import Faults
from sims.light import Light
from sims.one_shot import Expose, OneShot
from sims.scaler_fields import CLOCK_HZ

CLOCK, MONITOR, BUCKET = 1, 2, 3
"""Channels of the 10 MHz clock, the incident-beam monitor and the bucket diode."""


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
        Says which triggers are lost or late.
    speed : float
        Divides the counting time; the counts remain those of the full preset.

    Notes
    -----
    A put to CNT completes when counting has ended. Writing 0 ends it early with the counts so far. The counts are written
    before CNT returns to Done, so a client that reads after completion reads the new ones.
    """

    scaler = pvproperty(name="", value=0.0, record="scaler", doc="Scaler record; see its fields CNT, TP, S1 to S3")
    scaler.fields.count.putter(_put_count)
    scaler.fields.count_mode.putter(_put_mode)
    scaler.fields.preset_time.putter(_put_preset)

    def __init__(self, prefix: str, *, expose: Expose, light: Light, faults: Faults, speed: float = 1.0, **kwargs: Any):
        super().__init__(prefix, **kwargs)
        self._shot = OneShot(self._busy, self._measure, expose=expose, light=light, faults=faults, speed=speed)

    async def initialise(self) -> None:
        """Fill the fields; call it before the server answers."""
        fields = self.scaler.field_inst
        for channel, name in ((CLOCK, "clock"), (MONITOR, "monitor"), (BUCKET, "diode")):
            await getattr(fields, f"name_{channel}").write(name)
        await getattr(fields, f"gate_{CLOCK}").write("Y")
        await fields.preset_time.write(fields.preset_time.value)

    async def _put_count(self, value: str) -> None:
        await (self._shot.end() if value == "Done" else self._shot.begin())

    async def _busy(self, counting: bool) -> None:
        await self.scaler.field_inst.count.write("Count" if counting else "Done", verify_value=False)

    async def _measure(self) -> None:
        fields = self.scaler.field_inst
        counts = await self._shot.counts(fields.preset_time.value, fields.delay.value)
        clock = float(round(counts.seconds * CLOCK_HZ))
        for channel, value in ((CLOCK, clock), (MONITOR, counts.monitor), (BUCKET, counts.bucket)):
            await getattr(fields, f"counts_{channel}").write(value)
        await fields.elapsed_time.write(counts.seconds)
