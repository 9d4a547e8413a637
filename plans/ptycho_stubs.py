"""The steps of a step scan with frames. None of them opens a run."""

from __future__ import annotations

import math

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import FailedStatus, Msg, MsgGenerator, short_uid

from plans.fly_stubs import ANSWER_S, COLLECT_S, StageFailed, TriggeredScan, cause_of, collect_new, interrupted
from plans.ptycho_request import PtychoScanRequest
from plans.stubs import TriggersLost, move_stage, open_shutter, told_trouble


def visit_places(request: PtychoScanRequest) -> MsgGenerator[None]:
    """Take a frame at each place.

    A pause that is asked for (Ctrl-C once) comes before the next place. One that cannot wait (Ctrl-C twice, or a beam that is
    lost) spoils the exposure; the place is then exposed again, with the next number.
    """
    yield from bps.prepare(request.trigger_box, request.trigger(), wait=True)
    for y_um, x_um in request.places_um.tolist():
        yield Msg("checkpoint")
        complete = False
        while not complete:
            # Documents that are out must not come again under their numbers: no message of an exposure is repeated.
            complete = yield from bpp.rewindable_wrapper(_expose_at(request, y_um, x_um), False)


def _expose_at(request: PtychoScanRequest, y_um: float, x_um: float) -> MsgGenerator[bool]:
    """Move, and expose while the sample stands still; return whether that was not cut short."""
    stage, box = request.stage, request.trigger_box
    try:
        yield from bps.abs_set(box.interrupted, 0, wait=True)
        yield from move_stage(stage, y_um, x_um)
        if request.shutter is not None:
            yield from open_shutter(request.shutter)
        if (yield from interrupted(request)):
            return False
        yield from bps.kickoff(box, wait=True)
    except FailedStatus as failure:
        raise StageFailed(
            f"the place at y = {y_um:g}, x = {x_um:g} um was not reached: {cause_of(failure)}. {told_trouble(stage)}"
        ) from failure
    return (yield from exposure(request, request.period_s, f"y = {y_um:g}, x = {x_um:g} um"))


def exposure(request: TriggeredScan, period_s: float, place: str) -> MsgGenerator[bool]:
    """Wait for the trigger that the box gives while the sample stands still; return whether it was not cut short.

    Raises
    ------
    TriggersLost
        If the box gives none; it names the place.
    """
    box = request.trigger_box
    group = short_uid("exposure")
    yield from bps.complete(box, group=group)
    for _ in range(math.ceil((period_s + ANSWER_S) / COLLECT_S)):
        done = yield from bps.wait(group, timeout=COLLECT_S, error_on_timeout=False)
        yield from collect_new(request)
        if (yield from interrupted(request)):
            yield from bps.stop(box)
            return False
        if done:
            return True
    yield from bps.stop(box)
    raise TriggersLost(f"{box.name} gave no trigger at {place}: does it know PC_GATE_SEL Time?")
