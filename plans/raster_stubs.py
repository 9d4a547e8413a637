"""The steps of a raster scan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.utils import FailedStatus, Msg, MsgGenerator, short_uid

from plans.fly_stubs import LINE_MARGIN_S, StageFailed, cause_of
from plans.preprocessors import closed_shutter_decorator
from plans.raster_request import RasterRequest
from plans.stubs import count_lost, declare, expose, move_stage, open_shutter, record, set_exposure, told_trouble

STREAM = "primary"


def raster_run(request: RasterRequest, md: dict[str, Any]) -> MsgGenerator[str]:
    """Make one run of all points. What came before a failure is kept; the shutter ends closed and the pinhole out."""

    @bpp.run_decorator(md=md)
    @bpp.stage_decorator([*request.detectors, request.stage])
    @closed_shutter_decorator(request.shutter)
    def measure() -> MsgGenerator[None]:
        yield from set_exposure(request.buckets, request.exposure)
        yield from declare([*request.detectors, request.stage.place], STREAM)
        if request.mode == "step":
            yield from count_lost(_points(request))
        else:
            for y, points in request.lines():
                yield from _fly_line(request, y, points)

    pinhole = request.pinhole
    if pinhole is None:
        return (yield from measure())

    def with_pinhole() -> MsgGenerator[str]:
        yield from bps.abs_set(pinhole, 1, wait=True)
        return (yield from measure())

    def moved_out() -> MsgGenerator[None]:
        yield from bps.abs_set(pinhole, 0, wait=True)

    guarded = bpp.finalize_wrapper(with_pinhole(), moved_out())
    # Staged because the RunEngine unstages devices even when it is halted and skips all cleanup.
    return (yield from bpp.stage_wrapper(guarded, [pinhole]))


def _points(request: RasterRequest) -> Iterator[MsgGenerator[bool]]:
    for y, points in request.lines():
        for x in points.tolist():
            yield _measure_point(request, y, x)


def _measure_point(request: RasterRequest, y_um: float, x_um: float) -> MsgGenerator[bool]:
    """Move and expose; return whether the exposure was lost."""
    yield Msg("checkpoint")
    yield from _move(request, y_um, x_um)
    return (yield from _expose(request))


def _expose(request: RasterRequest) -> MsgGenerator[bool]:
    """Expose where the sample is, or while it moves, and record it; return whether the exposure was lost."""
    if request.shutter is not None:
        # Each time, and not only before the first: after a pause or a suspension it is closed.
        yield from open_shutter(request.shutter)
    before = yield from _place(request)
    lost = yield from expose(request.detectors)
    after = yield from _place(request)
    place = request.stage.place
    yield from bps.abs_set(place.y_um, (before[0] + after[0]) / 2, wait=True)
    yield from bps.abs_set(place.x_um, (before[1] + after[1]) / 2, wait=True)
    yield from record([*request.detectors, place], STREAM)
    return lost


def _place(request: RasterRequest) -> MsgGenerator[tuple[float, float]]:
    """Where the sample is now, in um."""
    stage = request.stage
    y = yield from bps.rd(stage.y, default_value=np.nan)
    x = yield from bps.rd(stage.x, default_value=np.nan)
    return y * stage.um_per_unit, x * stage.um_per_unit


def _move(request: RasterRequest, y_um: float, x_um: float) -> MsgGenerator[None]:
    stage = request.stage
    try:
        yield from move_stage(stage, y_um, x_um)
    except FailedStatus as failure:
        raise StageFailed(
            f"the place at y = {y_um:g}, x = {x_um:g} um was not reached: {cause_of(failure)}. {told_trouble(stage)}"
        ) from failure


def _fly_line(request: RasterRequest, y_um: float, points: np.ndarray) -> MsgGenerator[None]:
    """Scan a line, once more from its beginning if a pause has stopped the stage in it."""
    complete = False
    while not complete:
        yield Msg("checkpoint")
        # Events that are out must not come again under their numbers: no message of a line is repeated.
        complete = yield from bpp.rewindable_wrapper(_pass_line(request, y_um, points), False)


def _pass_line(request: RasterRequest, y_um: float, points: np.ndarray) -> MsgGenerator[bool]:
    """Expose while the sample moves through a line; return whether it got to the end."""
    stage, scale = request.stage, request.stage.um_per_unit
    start, stop = request.ends(points)
    yield from bps.abs_set(stage.x.velocity, request.x.velocity_um_s / scale, wait=True)
    yield from _move(request, y_um, start)
    yield from bps.abs_set(stage.x.velocity, request.velocity_um_s / scale, wait=True)
    group = short_uid("line")
    try:
        moved = yield from bps.abs_set(stage.x, stop / scale, group=group, timeout=request.line_s + LINE_MARGIN_S)
        while not moved.done:
            yield from _expose(request)
        yield from bps.wait(group)
    except FailedStatus as failure:
        raise StageFailed(f"the line at y = {y_um:g} um failed: {cause_of(failure)}. {told_trouble(stage)}") from failure
    _, x_um = yield from _place(request)
    return abs(x_um - stop) < request.step_um / 2
