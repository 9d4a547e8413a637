"""The steps of a series of frames."""

from __future__ import annotations

import logging
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import FailedStatus, Msg, MsgGenerator, short_uid

from beamline.frames.values import FrameSeries, TriggeredFrames
from plans.fly_stubs import COLLECT_S, StageFailed, cause_of
from plans.preprocessors import closed_shutter_decorator
from plans.protocols import LineStage, SeriesCamera
from plans.series_request import SeriesRequest
from plans.stubs import close_shutter, move_stage, open_shutter, told_trouble

DARKS, FLATS, STATIC, FRAMES = "darks", "flats", "static", "frames"

logger = logging.getLogger(__name__)


def series_run(request: SeriesRequest, md: dict[str, Any]) -> MsgGenerator[str]:
    """Make one run of all that is asked for. What came before a failure is kept, and the shutter ends closed."""

    # Staged before the run is opened: a camera that cannot write makes no run.
    @bpp.stage_decorator([request.camera])
    @bpp.run_decorator(md=md)
    @closed_shutter_decorator(request.shutter)
    def measure() -> MsgGenerator[None]:
        yield from _take_all(request)

    return (yield from measure())


def series_arguments(request: SeriesRequest, exposure_s: float | None) -> dict[str, Any]:
    """Return what all plans with a series of frames were asked for, for the start document; the exposure as it was given."""
    return {
        "num": request.num,
        **frame_arguments(request, exposure_s),
        "sample_stage": getattr(request.stage, "name", None),
        "recipes": request.recipes or None,
    }


def frame_arguments(request: SeriesRequest, exposure_s: float | None) -> dict[str, Any]:
    """Return what a plan was asked for about its frames, darks and flats."""
    return {
        "rate_hz": request.rate_hz,
        "exposure_s": exposure_s,
        "darks": request.darks,
        "flats": request.flats,
        "out_um": None if request.out_um is None else list(request.out_um),
        "shutter": getattr(request.shutter, "name", None),
    }


def _take_all(request: SeriesRequest) -> MsgGenerator[None]:
    """Take darks, then flats, then static frames, then the series, each into a stream and a file of its own."""
    yield from declare_frames(request)
    yield from take_corrections(request)
    if request.static_num:
        yield from take_frames(request, STATIC, request.static_num, lit=True)
    if request.num:
        yield from take_frames(request, FRAMES, request.num, lit=True)


def declare_frames(request: SeriesRequest) -> MsgGenerator[None]:
    """Announce all streams of frames that the run has."""
    for stream in request.streams:
        yield from bps.declare_stream(request.camera, name=stream, collect=True)


def take_corrections(request: SeriesRequest, times: int = 0) -> MsgGenerator[None]:
    """Take darks, then flats, which have been taken `times` times before."""
    if request.darks:
        yield from take_frames(request, DARKS, request.darks, lit=False, before=times * request.darks)
    if request.flats:
        flats = take_frames(request, FLATS, request.flats, lit=True, before=times * request.flats)
        yield from _taken_out(request, flats)


def take_frames(
    request: SeriesRequest, stream: str, num: int, *, lit: bool, taken: int = 0, before: int = 0
) -> MsgGenerator[None]:
    """Take frames one after the other, until the present file of the stream has so many.

    A pause stops the camera. Those that are left are then taken after it, under numbers that go on.

    Parameters
    ----------
    request : SeriesRequest
    stream : str
    num : int
        Frames that the file is to have.
    lit : bool
        Whether the shutter is open.
    taken : int
        Frames that it has already; 0 begins a file.
    before : int
        Frames of the stream in files before.
    """
    camera = request.camera
    while taken < num:
        yield Msg("checkpoint")
        if request.shutter is not None:
            # Each time, and not only before the first: after a pause or a suspension it is closed.
            yield from (open_shutter if lit else close_shutter)(request.shutter)
        # Documents that are out must not come again under their numbers: no message of a series is repeated.
        part = bpp.rewindable_wrapper(_take_part(request, stream, request.series(num, taken, before)), False)
        yield from bpp.contingency_wrapper(part, except_plan=lambda _: _save_rest(request, stream))
        taken = int((yield from bps.rd(camera.taken, default_value=before + num))) - before


def _take_part(request: SeriesRequest, stream: str, series: FrameSeries) -> MsgGenerator[None]:
    """Take the frames that are left, until there are enough or a pause has stopped the camera."""
    camera = request.camera
    yield from bps.abs_set(camera.interrupted, 0, wait=True)
    yield from prepare_camera(camera, series)
    yield from bps.kickoff(camera, wait=True)
    group = short_uid("series")
    yield from bps.complete(camera, group=group)
    done = False
    while not done:
        done = yield from bps.wait(group, timeout=COLLECT_S, error_on_timeout=False)
        yield from bps.collect(camera, name=stream)
        # A pause that was asked for with one Ctrl-C comes here.
        yield Msg("checkpoint")
        # Without an answer the message itself was interrupted.
        if (yield from bps.rd(camera.interrupted, default_value=1)):
            yield from bps.wait(group)  # until the camera is at rest
            break
    # What ended it too early is told when there is nothing left to collect.
    yield from bps.collect(camera, name=stream)
    yield from bps.collect(camera, name=stream)


def prepare_camera(camera: SeriesCamera, frames: FrameSeries | TriggeredFrames) -> MsgGenerator[None]:
    """Set up a camera; raises what keeps it from that."""
    try:
        yield from bps.prepare(camera, frames, wait=True)
    except FailedStatus as failure:
        raise cause_of(failure) from None


def _save_rest(request: SeriesRequest, stream: str) -> MsgGenerator[None]:
    """Stop the camera and collect what there is after a failure, as far as that is possible."""
    try:
        yield from bps.stop(request.camera)
        yield from bps.collect(request.camera, name=stream)
    except Exception:  # whatever the hardware raises now must not hide why the series ended
        logger.exception("not all frames that were taken could be collected")


def _taken_out(request: SeriesRequest, plan: MsgGenerator[None]) -> MsgGenerator[None]:
    """Run a plan with nothing but light before the camera, and bring back what was there however the plan ends."""
    stage = request.stage
    if stage is None or request.out_um is None:
        return (yield from plan)
    out_um = request.out_um
    y = yield from bps.rd(stage.y)
    x = yield from bps.rd(stage.x)

    def moved() -> MsgGenerator[None]:
        yield from _move(stage, *out_um)
        yield from plan

    yield from bpp.finalize_wrapper(moved(), _move(stage, y * stage.um_per_unit, x * stage.um_per_unit))


def _move(stage: LineStage, y_um: float, x_um: float) -> MsgGenerator[None]:
    try:
        yield from move_stage(stage, y_um, x_um)
    except FailedStatus as failure:
        raise StageFailed(f"{stage.name} did not move out of the light or back: {told_trouble(stage)}") from failure
