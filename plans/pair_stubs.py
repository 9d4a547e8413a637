"""The steps of a series of frame pairs. None of them opens a run."""

from __future__ import annotations

import logging

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import FailedStatus, Msg, MsgGenerator, short_uid

from plans.fly_stubs import COLLECT_S, StageFailed
from plans.pair_request import PairRequest
from plans.stubs import close_shutter, open_shutter, told_trouble

DARKS, FLATS, FRAMES = "darks", "flats", "frames"

logger = logging.getLogger(__name__)


def take_all(request: PairRequest) -> MsgGenerator[None]:
    """Take darks, then flats, then the series, each into a stream and a file of its own."""
    if request.darks:
        yield from take_frames(request, DARKS, request.darks, lit=False)
    if request.flats:
        yield from _sample_out(request, take_frames(request, FLATS, request.flats, lit=True))
    if request.num:
        yield from take_frames(request, FRAMES, request.num, lit=True)


def take_frames(request: PairRequest, stream: str, num: int, *, lit: bool) -> MsgGenerator[None]:
    """Take so many frames one after the other.

    A pause stops the camera. Those that are left are then taken after it, under numbers that go on.
    """
    camera = request.camera
    yield from bps.declare_stream(camera, name=stream, collect=True)
    taken = 0
    while taken < num:
        yield Msg("checkpoint")
        if request.shutter is not None:
            # Each time, and not only before the first: after a pause or a suspension it is closed.
            yield from (open_shutter if lit else close_shutter)(request.shutter)
        # Documents that are out must not come again under their numbers: no message of a series is repeated.
        part = bpp.rewindable_wrapper(_take_part(request, stream, num, taken), False)
        yield from bpp.contingency_wrapper(part, except_plan=lambda _: _save_rest(request, stream))
        taken = int((yield from bps.rd(camera.taken, default_value=num)))


def _take_part(request: PairRequest, stream: str, num: int, taken: int) -> MsgGenerator[None]:
    """Take the frames that are left, until there are enough or a pause has stopped the camera."""
    camera = request.camera
    yield from bps.abs_set(camera.interrupted, 0, wait=True)
    yield from bps.prepare(camera, request.series(num, taken), wait=True)
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


def _save_rest(request: PairRequest, stream: str) -> MsgGenerator[None]:
    """Stop the camera and collect what there is after a failure, as far as that is possible."""
    try:
        yield from bps.stop(request.camera)
        yield from bps.collect(request.camera, name=stream)
    except Exception:  # whatever the hardware raises now must not hide why the series ended
        logger.exception("not all frames that were taken could be collected")


def _sample_out(request: PairRequest, plan: MsgGenerator[None]) -> MsgGenerator[None]:
    """Run a plan with the sample out of the light, and bring it back however the plan ends."""
    stage = request.stage
    if stage is None or request.out_um is None:
        return (yield from plan)
    y = yield from bps.rd(stage.y)
    x = yield from bps.rd(stage.x)
    out = [place / stage.um_per_unit for place in request.out_um]

    def moved() -> MsgGenerator[None]:
        yield from _move(request, *out)
        yield from plan

    yield from bpp.finalize_wrapper(moved(), lambda: _move(request, y, x))


def _move(request: PairRequest, y: float, x: float) -> MsgGenerator[None]:
    """Move the sample stage, in its own units."""
    stage = request.stage
    assert stage is not None
    group = short_uid("sample")
    try:
        for axis, position in ((stage.y, y), (stage.x, x)):
            yield from bps.abs_set(axis, position, group=group, timeout=stage.move_timeout_s)
        yield from bps.wait(group)
    except FailedStatus as failure:
        raise StageFailed(f"the sample stage did not move out of the light or back: {told_trouble(stage)}") from failure
