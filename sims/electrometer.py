"""An electrometer with four channels, as EPICS's quadEM module has them."""

from __future__ import annotations

import math
from typing import Any

from caproto import SkipWrite

from sims.asyn_group import AsynGroup, Record, serve
from sims.faults import Faults
from sims.light import Light
from sims.one_shot import Expose, OneShot
from sims.statistics_fields import compute, statistics_records

BUCKET, MONITOR = 1, 2
"""Channels of the bucket diode and of the incident-beam monitor; the other two read nothing."""

CHARGE_C = 4.9e-16
"""Charge of one count: a photon of 11.1 keV makes 3000 electron-hole pairs in silicon."""

_CHANNELS = (1, 2, 3, 4)
_AMPERE = {"units": "A", "precision": 4}


class Electrometer(AsynGroup):
    """The records of a quadEM electrometer.

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
    Acquire returns to 0, and a put to it completes, when the mean currents have been computed. Only Single is simulated: in
    the other modes nothing is computed, and Acquire stays 1 until 0 is written.
    """

    locals().update(
        serve(
            Record(
                "Model", ("Unknown", "APS_EM", "AH401B", "AH401D", "AH501", "AH501BE", "AH501C", "AH501D", "TetrAMM"), "Model"
            ),
            Record("Acquire", ("Done", "Acquire"), "Write 1 to acquire; 0 ends it", "one"),
            Record("AcquireMode", ("Continuous", "Multiple", "Single"), "Single: one mean over AveragingTime for each Acquire"),
            Record("AveragingTime", 0.1, "Time over which the mean is taken, s", options={"units": "s"}),
            Record("NumAveraged", 0, "Samples of the last mean", "read"),
            *(Record(f"CurrentOffset{channel}", 0.0, "What is subtracted", "one", options=_AMPERE) for channel in _CHANNELS),
            *(record for channel in _CHANNELS for record in statistics_records(f"Current{channel}:", "MeanValue", "A")),
        )
    )

    def __init__(self, prefix: str, *, expose: Expose, light: Light, faults: Faults, speed: float = 1.0, **kwargs: Any):
        super().__init__(prefix, **kwargs)
        self._shot = OneShot(self._busy, self._measure, expose=expose, light=light, faults=faults, speed=speed)

    async def on_put(self, name: str, value: Any) -> Any:
        """Start and stop; refuse settings that are impossible."""
        if name == "Acquire":
            await (self._shot.begin() if value == "Acquire" else self._shot.end())
            raise SkipWrite
        if name == "AveragingTime" and not 0 < value < math.inf:
            raise ValueError(f"{self.prefix}AveragingTime must be above 0 s, not {value}")
        return value

    async def _busy(self, acquiring: bool) -> None:
        await self.post("Acquire", "Acquire" if acquiring else "Done")

    async def _measure(self) -> None:
        if self.value("AcquireMode") != "Single":
            await self._shot.ended()
            return
        counts = await self._shot.counts(self.value("AveragingTime"))
        if not counts.seconds:  # it was stopped at once
            return
        amperes = CHARGE_C / counts.seconds
        for channel in _CHANNELS:
            current = {BUCKET: counts.bucket, MONITOR: counts.monitor}.get(channel, 0.0) * amperes
            await compute(self, f"Current{channel}:", "MeanValue", current - self.value(f"CurrentOffset{channel}"))
