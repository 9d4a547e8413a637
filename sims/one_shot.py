"""Exposures of a simulated counter: a trigger starts them; the clock or a client ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sims.faults import Faults
from sims.light import Light
from sims.physics import Counts

Expose = Callable[[float, float], Awaitable[Counts]]
"""Returns the counts of an exposure of some seconds, a fraction (0 to 1) of which has light."""


class OneShot:
    """One exposure for each trigger.

    Parameters
    ----------
    busy : callable
        Coroutine function that tells clients whether it is counting.
    measure : callable
        Coroutine function that makes one measurement with `counts` and publishes the result.
    expose : callable
        Makes one exposure of the experiment.
    light : Light
    faults : Faults
        Says which triggers are lost or late.
    speed : float
        Divides the counting time; the counts remain those of the whole exposure.
    """

    def __init__(
        self,
        busy: Callable[[bool], Awaitable[None]],
        measure: Callable[[], Awaitable[None]],
        *,
        expose: Expose,
        light: Light,
        faults: Faults,
        speed: float = 1.0,
    ):
        self._busy, self._measure = busy, measure
        self._expose, self._light, self._faults, self._speed = expose, light, faults, speed
        self._stop = asyncio.Event()
        self._counting: asyncio.Task | None = None
        self._in_turn = asyncio.Lock()

    async def begin(self) -> None:
        """Start to count, unless it is counting already, and wait for the end."""
        if self._counting and self._stop.is_set():
            # It was stopped a moment ago; this trigger is a new one.
            await asyncio.wait([self._counting])
        if not self._counting:
            self._stop.clear()
            self._counting = asyncio.create_task(self._count())
        await asyncio.shield(self._counting)

    async def end(self) -> None:
        """Stop counting, and wait until that has happened."""
        self._stop.set()
        if self._counting:
            await asyncio.shield(self._counting)

    async def ended(self) -> None:
        """Wait until a client ends the exposure."""
        await self._stop.wait()

    async def counts(self, preset_s: float, delay_s: float = 0.0) -> Counts:
        """Wait for the trigger, count, and return the counts."""
        fault = await self._faults.next_trigger()
        if fault.lost:
            await self._stop.wait()
        if self._stop.is_set() or await self._ended_within(fault.late_s + delay_s / self._speed):
            return Counts(0.0, 0.0, 0.0)
        mark, began = self._light.mark(), asyncio.get_running_loop().time()
        seconds = preset_s
        if await self._ended_within(preset_s / self._speed):
            seconds = min(preset_s, (asyncio.get_running_loop().time() - began) * self._speed)
        return await self._expose(seconds, self._light.fraction_since(mark))

    async def _count(self) -> None:
        async with self._in_turn:
            await self._busy(True)
            try:
                await self._measure()
            finally:
                self._counting = None
                await self._busy(False)

    async def _ended_within(self, seconds: float) -> bool:
        """Wait until a client ends the exposure, or for this many seconds; return whether a client ended it."""
        if seconds <= 0:
            return False
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return False
        return True
