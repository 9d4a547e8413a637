"""Suspends scans while there is no beam."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import bluesky.preprocessors as bpp
from bluesky import RunEngine
from bluesky.suspenders import SuspenderBase, SuspendFloor
from bluesky.utils import Msg, MsgGenerator, single_gen

from beamline.config import BeamSection

logger = logging.getLogger(__name__)

POLL_S = 0.1
"""How often a plan that is held looks whether the beam is back."""


class RingCurrentSuspender(SuspendFloor):
    """Suspends while the ring current is low; the exposure during which it fell is repeated.

    bluesky's own looks at the current only when it changes while a plan runs, so `RE.resume()` would measure without beam
    after a pause. This one holds every plan at its checkpoints too. The RunEngine repeats what follows a checkpoint when
    it resumes, the waiting included.

    Parameters
    ----------
    ring_current : signal
        In mA.
    minimum_ma : float
        Suspends below this, resumes a tenth above it, so that a current at the limit does not toggle the scan.
    settle_s : float
        How long to wait after the beam is back, in s.
    """

    def __init__(self, ring_current: Any, minimum_ma: float, settle_s: float):
        super().__init__(
            ring_current,
            minimum_ma,
            resume_thresh=1.1 * minimum_ma,
            sleep=settle_s,
            tripped_message=f"ring current below {minimum_ma:g} mA; waiting for beam",
        )

    @property
    def reason(self) -> str:
        """Why plans wait while it is tripped."""
        return str(self._tripped_message)

    def install(self, RE: RunEngine, *, event_type: str | None = None) -> None:
        """Watch the current for this RunEngine, and hold its plans."""
        super().install(RE, event_type=event_type)
        RE.preprocessors.append(self._hold)

    def remove(self) -> None:
        """Stop watching."""
        if self.RE is not None:
            self.RE.preprocessors.remove(self._hold)
        super().remove()

    def _hold(self, plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
        return (yield from bpp.plan_mutator(plan, self._then_wait))

    def _then_wait(self, msg: Msg) -> tuple[None, MsgGenerator[Any] | None]:
        return None, single_gen(Msg("wait_for", None, [self._beam])) if msg.command == "checkpoint" else None

    async def _beam(self) -> None:
        if not self.tripped:
            return
        logger.warning(self._tripped_message)
        while self.tripped:
            await asyncio.sleep(POLL_S)
        await asyncio.sleep(self._sleep)


class MonitorSuspender(SuspenderBase):
    """Repeats an exposure in which the incident-beam monitor counted too little.

    Only counting shows whether the beam is back, so the suspension ends by itself after a while and the repeated
    exposure decides again.

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


def beam_suspenders(ring_current: Any, buckets: Iterable[Any], shutter: Any, limits: BeamSection) -> list[SuspenderBase]:
    """Make the suspenders that the configuration asks for; a minimum of 0 asks for none.

    Parameters
    ----------
    ring_current, shutter : devices
        None where there is none.
    buckets : iterable of devices
        The bucket detectors; the first one with a monitor says whether there is beam.
    limits : BeamSection
        The section [beam] of the configuration.
    """
    suspenders: list[SuspenderBase] = []
    if ring_current is not None and limits.minimum_ma > 0:
        suspenders.append(RingCurrentSuspender(ring_current, limits.minimum_ma, limits.settle_s))
    monitored = next((detector for detector in buckets if detector.monitor_key is not None), None)
    if monitored is not None and limits.minimum_monitor_rate > 0:
        suspenders.append(
            MonitorSuspender(
                monitored.monitor_rate,
                limits.minimum_monitor_rate,
                is_open=lambda: shutter is None or shutter.is_open,
                retry_s=limits.settle_s,
            )
        )
    return suspenders
