"""The cameras of simulated detectors: they take frames on a software command or on triggers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from caproto import SkipWrite

from sims.asyn_group import AsynGroup, serve
from sims.cam_fields import CAM_RECORDS
from sims.frame_faults import FrameFaults
from sims.frame_messages import Take
from sims.hdf_plugin import HdfPlugin
from sims.light import Light
from sims.triggers import Triggers

_TICK_S = 0.01
_VISIBLE_S = 0.2
_FIXED = {"DataType": "UInt16", "ColorMode": "Mono", "NumExposures": 1}


class Camera(AsynGroup):
    """The records of `cam1:`.

    Parameters
    ----------
    prefix : str
    model : str
        Name of the model.
    shape : pair of int
        Rows and columns of a frame.
    plugin : HdfPlugin
        Receives the frames.
    place : callable
        Returns where the stage is now, (y, x) in um.
    light : Light
        Tells whether there is beam.
    angle : callable, optional
        Returns the angle of the rotation now, degrees.
    speed : float
        Divides times.

    Notes
    -----
    With internal triggers Acquire_RBV stays 1 for at least 0.2 s of real time: ophyd's `warmup` polls it, and would miss a
    shorter pulse.
    """

    locals().update(serve(*CAM_RECORDS))

    def __init__(
        self,
        prefix: str,
        *,
        model: str,
        shape: tuple[int, int],
        plugin: HdfPlugin,
        place: Callable[[], tuple[float, float]],
        light: Light,
        angle: Callable[[], float] = lambda: 0.0,
        speed: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(prefix, **kwargs)
        self._model, self._shape, self._plugin = model, shape, plugin
        self._place, self._angle = place, angle
        self._light, self._speed = light, speed
        self._acquisition = 0
        self._left: int | None = None  # frames to take; None: no limit
        self._done = asyncio.Event()
        self._done.set()

    async def initialise(self) -> None:
        """Fill the records."""
        rows, columns = self._shape
        for axis, size in (("X", columns), ("Y", rows)):
            await self.post(f"ArraySize{axis}_RBV", size)
            await self.post(f"MaxSize{axis}_RBV", size)
            await self.post_pair(f"Size{axis}", size)
        await self.post("ArraySize_RBV", 2 * rows * columns)
        await self.post("Model_RBV", self._model)
        await self.post_pair("DataType", "UInt16")
        await self.post_pair("ArrayCallbacks", "Enable")

    async def on_put(self, name: str, value: Any) -> Any:
        """Start and stop; refuse settings that are not simulated."""
        if name == "Acquire":
            await (self._acquire() if value == "Acquire" else self._stop())
            raise SkipWrite
        if name in _FIXED and value != _FIXED[name]:
            raise ValueError(f"{self.prefix}{name} is always {_FIXED[name]} in this simulation, not {value}")
        if name in ("AcquireTime", "AcquirePeriod") and not 0 < value < np.inf:
            raise ValueError(f"{self.prefix}{name} must be above 0 s, not {value}")
        return value

    async def _acquire(self) -> None:
        """Start an acquisition unless one is running, and wait for its end."""
        if self._done.is_set():
            self._done.clear()
            self._acquisition += 1
            mode = self.value("ImageMode")
            self._left = {"Single": 1, "Multiple": self.value("NumImages")}.get(mode)
            external = self.value("TriggerMode") == "External"
            await self.post("NumImagesCounter_RBV", 0)
            await self.post("DetectorState_RBV", "Waiting" if external else "Acquire")
            await self.post_pair("Acquire", "Acquire")
            if not external:
                await self._by_itself()
        await self._done.wait()

    async def _stop(self) -> None:
        self._done.set()
        await self.post("DetectorState_RBV", "Idle")
        await self.post_pair("Acquire", "Done")

    async def _by_itself(self) -> None:
        """Take frames at a fixed rate until the number is reached or the camera is stopped."""
        clock = asyncio.get_running_loop().time
        began, taken, number = clock(), 0, self._acquisition
        exposure_s = self.value("AcquireTime")
        period = max(self.value("AcquirePeriod"), exposure_s) / self._speed
        while not self._done.is_set() and number == self._acquisition:
            due = int((clock() - began) / period) - taken
            count = due if self._left is None else min(due, self._left)
            if count > 0:
                taken += count
                first = self.value("ArrayCounter") + 1
                y_um, x_um = (np.full(count, place) for place in self._place())
                times = time.time() - period * np.arange(count, 0, -1)
                angles_deg = np.full(count, self._angle())
                triggers = Triggers(np.arange(first, first + count), times, y_um, x_um, exposure_s, angles_deg=angles_deg)
                await self._take(triggers, since_s=clock() - began)
            await asyncio.sleep(min(max(period, 0.001), _TICK_S))

    async def _take(self, triggers: Triggers, since_s: float = _VISIBLE_S) -> None:
        """Take frames; `since_s` is the real time since Acquire, in s."""
        count = len(triggers)
        await self.post_pair("ArrayCounter", self.value("ArrayCounter") + count)
        await self.post("NumImagesCounter_RBV", self.value("NumImagesCounter_RBV") + count)
        if count and self.value("ArrayCallbacks") == "Enable":
            await self._plugin.take(Take(self._acquisition, triggers, self._light.on))
        if self._left is not None:
            self._left -= count
            if not self._left:
                number = self._acquisition
                await asyncio.sleep(max(0.0, _VISIBLE_S - since_s))
                if number == self._acquisition:
                    await self._stop()


class TriggeredCamera(Camera):
    """A camera that can also be triggered by the trigger box.

    Parameters
    ----------
    prefix : str
    faults : FrameFaults, optional
        Says which triggers it misses.
    **kwargs
        See `Camera`.
    """

    def __init__(self, prefix: str, *, faults: FrameFaults | None = None, **kwargs: Any):
        super().__init__(prefix, **kwargs)
        self._faults = faults

    async def trigger(self, triggers: Triggers) -> None:
        """Take a frame at each trigger, if the camera is waiting for triggers."""
        if self._done.is_set() or self.value("TriggerMode") != "External":
            return
        seen = np.arange(len(triggers))
        if self._faults is not None:
            seen = np.flatnonzero(await self._faults.missed(len(triggers)))
        await self._take(triggers.some(seen[: self._left]))

    async def line_ended(self) -> None:
        """Make all frames of a line readable at once."""
        await self._plugin.flush()
