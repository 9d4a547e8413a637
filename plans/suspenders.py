"""Makes scans wait while there is no beam."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from bluesky.suspenders import SuspenderBase, SuspendFloor

from beamline.config import BeamSection


def ring_current_suspender(ring_current: Any, minimum_ma: float, settle_s: float) -> SuspendFloor:
    """Suspend while the ring current is low; the exposure during which it fell is repeated.

    Parameters
    ----------
    ring_current : signal
        In mA.
    minimum_ma : float
        Suspends below this, resumes a tenth above it, so that a current at the limit does not toggle the scan.
    settle_s : float
        How long to wait after the beam is back, in s.
    """
    return SuspendFloor(
        ring_current,
        minimum_ma,
        resume_thresh=1.1 * minimum_ma,
        sleep=settle_s,
        tripped_message=f"ring current below {minimum_ma:g} mA; waiting for beam",
    )


class MonitorSuspender(SuspenderBase):
    """Repeats an exposure in which the incident-beam monitor counted too little.

    Only counting shows whether the beam is back, so the suspension ends by itself after a while and the repeated
    exposure decides anew.

    Parameters
    ----------
    monitor_rate : signal
        Counts per second, set once an exposure, before its trigger is done.
    minimum_rate : float
        Counts per second.
    is_open : callable
        Whether the shutter is open: without light a low rate means nothing.
    retry_s : float
        How long to wait before the exposure is repeated, in s.
    """

    def __init__(self, monitor_rate: Any, minimum_rate: float, *, is_open: Callable[[], bool], retry_s: float):
        super().__init__(monitor_rate, sleep=retry_s, tripped_message=f"monitor below {minimum_rate:g} counts/s; will try again")
        self._minimum_rate = minimum_rate
        self._is_open = is_open

    def _should_suspend(self, value: float) -> bool:
        return value < self._minimum_rate and self._is_open()

    def _should_resume(self, value: float) -> bool:
        return not self._should_suspend(value)

    def __call__(self, value: float, **_: Any) -> None:
        """Take note of a new rate."""
        engine = self.RE
        if engine is None or not engine.state.is_running or not self._should_suspend(value):
            return
        engine.request_suspend(partial(asyncio.sleep, self._sleep), justification=self._tripped_message)


def beam_suspenders(ring_current: Any, diode: Any, shutter: Any, limits: BeamSection) -> list[SuspenderBase]:
    """Make the suspenders that the configuration asks for; a minimum of 0 asks for none.

    Parameters
    ----------
    ring_current, diode, shutter : devices
    limits : BeamSection
        The section [beam] of the configuration.
    """
    suspenders: list[SuspenderBase] = []
    if limits.minimum_ma > 0:
        suspenders.append(ring_current_suspender(ring_current, limits.minimum_ma, limits.settle_s))
    if limits.minimum_monitor_rate > 0:
        suspenders.append(
            MonitorSuspender(
                diode.monitor_rate, limits.minimum_monitor_rate, is_open=lambda: shutter.is_open, retry_s=limits.settle_s
            )
        )
    return suspenders
