"""The steps of a tomographic scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.utils import FailedStatus, Msg, MsgGenerator

from plans.fly_stubs import (
    LINE_MARGIN_S,
    StageFailed,
    cause_of,
    collect_rest,
    interrupted,
    logger,
    pass_over,
    save_rest,
)
from plans.preprocessors import closed_shutter_decorator
from plans.ptycho_stubs import exposure
from plans.series_stubs import declare_frames, prepare_camera, take_corrections
from plans.stubs import TriggersLost, open_shutter, told_trouble
from plans.tomo_request import TomoRequest


def tomo_run(request: TomoRequest, md: dict[str, Any]) -> MsgGenerator[str]:
    """Make one run of darks, flats and all rounds of angles. What came before a failure is kept, and the shutter ends closed."""

    # Staged before the run is opened: a camera that cannot write makes no run.
    @bpp.stage_decorator([request.detector, request.trigger_box, request.stage])
    @bpp.run_decorator(md=md)
    @closed_shutter_decorator(request.shutter)
    def measure() -> MsgGenerator[None]:
        yield from declare_frames(request.series)
        yield from bps.declare_stream(request.trigger_box, name=request.trigger_box.stream, collect=True)
        times = 0
        if request.when != "after":
            yield from take_corrections(request.series, times)
            times += 1
        for number, rounds in enumerate(request.uninterrupted):
            if number:
                yield from take_corrections(request.series, times)
                times += 1
            yield from _take_rounds(request, rounds)
        if request.when != "before":
            yield from take_corrections(request.series, times)

    return (yield from measure())


def _take_rounds(request: TomoRequest, rounds: Sequence[np.ndarray]) -> MsgGenerator[None]:
    """Take the radiographs of rounds that follow each other into one file."""
    before = int((yield from bps.rd(request.trigger_box.count, default_value=0)))

    def arm() -> MsgGenerator[None]:
        yield from prepare_camera(request.detector, request.frames(before))
        yield from bps.kickoff(request.detector, wait=True)

    def triggered() -> MsgGenerator[None]:
        yield from bpp.rewindable_wrapper(arm(), False)
        for angles in rounds:
            yield from (_pass_angles if request.mode == "fly" else _visit_angles)(request, angles)
        yield from bpp.rewindable_wrapper(collect_rest(request, before), False)

    yield from bpp.contingency_wrapper(triggered(), except_plan=lambda _: save_rest(request, before))
    yield from bps.stop(request.detector)


def _visit_angles(request: TomoRequest, angles: np.ndarray) -> MsgGenerator[None]:
    """Take a frame at each angle while the sample stands still.

    A pause that is asked for (Ctrl-C once) comes before the next angle. One that cannot wait spoils the exposure; the angle is
    then exposed again, with the next number.
    """
    yield from bps.prepare(request.trigger_box, request.triggers(), wait=True)
    for angle in angles.tolist():
        yield Msg("checkpoint")
        complete = False
        while not complete:
            # Documents that are out must not come again under their numbers: no message of an exposure is repeated.
            complete = yield from bpp.rewindable_wrapper(_expose_at(request, angle), False)


def _expose_at(request: TomoRequest, angle: float) -> MsgGenerator[bool]:
    """Turn, and expose while the sample stands still; return whether that was not cut short."""
    stage, box = request.stage, request.trigger_box
    try:
        yield from bps.abs_set(box.interrupted, 0, wait=True)
        yield from bps.abs_set(stage.angle, angle, wait=True, timeout=stage.move_timeout_s)
        if request.shutter is not None:
            yield from open_shutter(request.shutter)
        if (yield from interrupted(request)):
            return False
        yield from bps.kickoff(box, wait=True)
    except FailedStatus as failure:
        raise StageFailed(f"the angle {angle:g} degrees was not reached: {cause_of(failure)}. {told_trouble(stage)}") from failure
    return (yield from exposure(request, request.period_s, f"{angle:g} degrees"))


def _pass_angles(request: TomoRequest, angles: np.ndarray) -> MsgGenerator[None]:
    """Take a frame at each angle while the sample turns.

    A pause that is asked for (Ctrl-C once) comes at the end of the turn. One that cannot wait cuts it short; it is then made
    again, with continuing numbers.
    """
    yield Msg("checkpoint")
    complete = False
    while not complete:
        # Documents that are out must not come again under their numbers: no message of a turn is repeated.
        complete = yield from bpp.rewindable_wrapper(_turn(request, angles), False)


def _turn(request: TomoRequest, angles: np.ndarray) -> MsgGenerator[bool]:
    """Turn once over the angles of a round; return whether that was not cut short."""
    stage, box, sweep = request.stage, request.trigger_box, request.sweep(angles)
    which = f"the turn from {angles[0]:g} to {angles[-1]:g} degrees"
    try:
        yield from bps.abs_set(box.interrupted, 0, wait=True)
        yield from bps.abs_set(stage.angle.velocity, request.axis.velocity_deg_s, wait=True)
        yield from bps.abs_set(stage.angle, sweep.start_deg, wait=True, timeout=stage.move_timeout_s)
        whole = yield from pass_over(
            request,
            stage.angle,
            sweep.stop_deg,
            velocity=sweep.velocity_deg_s,
            triggers=request.triggers(sweep),
            timeout_s=sweep.duration_s + LINE_MARGIN_S,
        )
    except FailedStatus as failure:
        raise StageFailed(f"{which} failed: {cause_of(failure)}. {told_trouble(stage)}") from failure
    if not whole:
        return False
    captured = yield from bps.rd(box.captured)
    if not captured:
        raise TriggersLost(
            f"{box.name} gave no trigger in {which}, although {stage.angle.name} passed all of it: is its encoder connected, and "
            f"does it count in degrees? The gate was to open at {request.triggers(sweep).gate:g} degrees (dial)"
        )
    if captured < len(angles):
        logger.warning("%s gave %d of %d triggers in %s", box.name, captured, len(angles), which)
    return True
