"""A camera that keeps no frames, only the sums over two regions, from areaDetector's statistics plugin."""

from __future__ import annotations

import math
from typing import Any

from caproto import SkipWrite

from sims.asyn_group import DISABLE_ENABLE, AsynGroup, Record, serve
from sims.faults import Faults
from sims.light import Light
from sims.one_shot import Expose, OneShot
from sims.statistics_fields import compute, statistics_records


class CameraSum(AsynGroup):
    """The records of `cam1:`, of `Stats1:`, which sums the region of the bucket signal, and of `Stats2:`, the monitor.

    Parameters
    ----------
    prefix : str
    expose : callable
        Makes one exposure of the experiment.
    light : Light
    faults : Faults
    speed : float
        Divides the time that an exposure takes.

    Notes
    -----
    Only one frame for each Acquire (ImageMode Single, TriggerMode Internal) is simulated. In the other modes nothing is
    computed, and Acquire stays 1 until 0 is written.
    """

    locals().update(
        serve(
            Record("cam1:Acquire", ("Done", "Acquire"), "Write 1 to take a frame; 0 ends it"),
            Record("cam1:AcquireTime", 0.1, "Exposure, s", options={"units": "s"}),
            Record("cam1:ImageMode", ("Single", "Multiple", "Continuous"), "One frame, or more", options={"value": "Continuous"}),
            Record("cam1:TriggerMode", ("Internal", "External"), "Who triggers"),
            Record("cam1:ArrayCallbacks", DISABLE_ENABLE, "Whether frames are passed on to plugins"),
            *statistics_records("Stats1:", "Total", "counts"),
            *statistics_records("Stats2:", "Total", "counts"),
        )
    )

    def __init__(self, prefix: str, *, expose: Expose, light: Light, faults: Faults, speed: float = 1.0, **kwargs: Any):
        super().__init__(prefix, **kwargs)
        self._shot = OneShot(self._busy, self._measure, expose=expose, light=light, faults=faults, speed=speed)

    async def on_put(self, name: str, value: Any) -> Any:
        """Start and stop; refuse settings that are impossible."""
        if name == "cam1:Acquire":
            await (self._shot.begin() if value == "Acquire" else self._shot.end())
            raise SkipWrite
        if name == "cam1:AcquireTime" and not 0 < value < math.inf:
            raise ValueError(f"{self.prefix}{name} must be above 0 s, not {value}")
        return value

    async def _busy(self, acquiring: bool) -> None:
        await self.post_pair("cam1:Acquire", "Acquire" if acquiring else "Done")

    async def _measure(self) -> None:
        if (self.value("cam1:ImageMode"), self.value("cam1:TriggerMode")) != ("Single", "Internal"):
            await self._shot.ended()
            return
        counts = await self._shot.counts(self.value("cam1:AcquireTime"))
        if counts.seconds and self.value("cam1:ArrayCallbacks") == "Enable":
            await compute(self, "Stats1:", "Total", counts.bucket)
            await compute(self, "Stats2:", "Total", counts.monitor)
