"""The steps of a fly scan, and of other scans whose frames are triggered."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import FailedStatus, Msg, MsgGenerator, short_uid

from beamline.frames.values import LineTriggers, TriggeredFrames
from beamline.motion.lines import Line
from plans.fly_request import FlyScanRequest
from plans.preprocessors import closed_shutter_decorator
from plans.protocols import BeamShutter, FrameCamera, LineAxis, LineTriggerBox, TroubledStage
from plans.stubs import TriggersLost, move_stage, open_shutter, told_trouble

FRAMES = "frames"
COLLECT_S = 0.1
"""How often documents are made of what has come."""

LINE_MARGIN_S = 10.0
"""How much longer than computed a line may take before the axis counts as stalled."""

ANSWER_S = 5.0
"""How long the box may take to publish what it captured after a line."""

logger = logging.getLogger(__name__)


class TriggeredScan(Protocol):
    """A scan whose frames come one a trigger."""

    @property
    def detector(self) -> FrameCamera:
        """What takes frames."""

    @property
    def trigger_box(self) -> LineTriggerBox:
        """What triggers it."""

    @property
    def stage(self) -> TroubledStage:
        """What moves the sample."""

    @property
    def shutter(self) -> BeamShutter | None:
        """Ends closed."""


class StageFailed(RuntimeError):
    """The stage did not go where it was sent."""


def triggered_run(
    request: TriggeredScan, frames: TriggeredFrames, md: dict[str, Any], body: Callable[[], MsgGenerator[None]]
) -> MsgGenerator[str]:
    """Make one run of what `body` triggers. What came before a failure is collected, and the shutter ends closed."""

    # Staged before the run is opened: a detector that cannot write makes no run.
    @bpp.stage_decorator([request.detector, request.trigger_box, request.stage])
    def staged() -> MsgGenerator[str]:
        yield from bps.prepare(request.detector, frames, wait=True)
        return (yield from measure())

    @bpp.run_decorator(md=md)
    @closed_shutter_decorator(request.shutter)
    def measure() -> MsgGenerator[None]:
        yield from _declare_streams(request)
        yield from bps.kickoff(request.detector, wait=True)

        def triggered() -> MsgGenerator[None]:
            yield from body()
            yield from collect_rest(request)

        yield from bpp.contingency_wrapper(triggered(), except_plan=lambda _: save_rest(request))

    return (yield from staged())


def _declare_streams(request: TriggeredScan) -> MsgGenerator[None]:
    """Announce the two streams."""
    yield from bps.declare_stream(request.detector, name=FRAMES, collect=True)
    yield from bps.declare_stream(request.trigger_box, name=request.trigger_box.stream, collect=True)


def collect_new(request: TriggeredScan) -> MsgGenerator[None]:
    """Make documents of the positions and frames that have come."""
    yield from bps.collect(request.trigger_box, name=request.trigger_box.stream)
    yield from bps.collect(request.detector, name=FRAMES)


def fly_lines(request: FlyScanRequest) -> MsgGenerator[None]:
    """Scan all lines.

    A pause that is asked for (Ctrl-C once) comes at the end of a line. One that cannot wait (Ctrl-C twice, or a beam that
    is lost) cuts the line short; it is then scanned again, with continuing numbers.
    """
    for line in request.scan.lines():
        yield Msg("checkpoint")
        complete = False
        while not complete:
            # Documents that are out must not come again under their numbers: no message of a line is repeated.
            complete = yield from bpp.rewindable_wrapper(_fly_line(request, line), False)


def _fly_line(request: FlyScanRequest, line: Line) -> MsgGenerator[bool]:
    """Scan one line; return whether it was not cut short."""
    stage, box, scan = request.stage, request.trigger_box, request.scan
    scale = stage.um_per_unit
    try:
        yield from bps.abs_set(box.interrupted, 0, wait=True)
        yield from bps.abs_set(stage.x.velocity, request.x.velocity_um_s / scale, wait=True)
        yield from move_stage(stage, line.y_um, line.start_um)
        whole = yield from pass_over(
            request,
            stage.x,
            line.stop_um / scale,
            velocity=scan.velocity_um_s / scale,
            triggers=request.triggers(line),
            timeout_s=scan.line_s + LINE_MARGIN_S,
        )
        if not whole:
            return False
    except FailedStatus as failure:
        raise StageFailed(
            f"line {line.number} at y = {line.y_um:g} um failed: {cause_of(failure)}. {told_trouble(stage)}"
        ) from failure
    captured = yield from bps.rd(box.captured)
    if not captured:
        raise TriggersLost(
            f"{box.name} gave no trigger in line {line.number}, although {stage.x.name} ran over all of it: is its encoder "
            f"connected, and does it count in um? The gate was to open at {request.triggers(line).gate:g} um (dial)"
        )
    if captured < scan.x_um[2]:
        logger.warning("%s gave %d of %d triggers in line %d", box.name, captured, scan.x_um[2], line.number)
    return True


def cause_of(failure: FailedStatus) -> BaseException:
    """Return what a status failed with."""
    return failure.__cause__ or (failure.args[0].exception() if failure.args else None) or failure


def pass_over(
    request: TriggeredScan, axis: LineAxis, stop: float, *, velocity: float, triggers: LineTriggers, timeout_s: float
) -> MsgGenerator[bool]:
    """Trigger while an axis passes from where it stands to a stop; return whether that was not cut short.

    Parameters
    ----------
    request : TriggeredScan
    axis : LineAxis
    stop, velocity : float
        In the unit of its motor record.
    triggers : LineTriggers
    timeout_s : float
        Time after which the axis counts as stalled.
    """
    box = request.trigger_box
    yield from bps.abs_set(axis.velocity, velocity, wait=True)
    if request.shutter is not None:
        yield from open_shutter(request.shutter)
    yield from bps.prepare(box, triggers, wait=True)
    if (yield from interrupted(request)):
        return False
    yield from bps.kickoff(box, wait=True)
    if (yield from _sweep(request, axis, stop, timeout_s)):
        yield from bps.stop(box)
        return False
    return True


def _sweep(request: TriggeredScan, axis: LineAxis, stop: float, timeout_s: float) -> MsgGenerator[bool]:
    """Move over the line that is armed and collect meanwhile; return whether it was cut short."""
    box = request.trigger_box
    group = short_uid("line")
    captured = yield from bps.complete(box, group=group)
    moved = yield from bps.abs_set(axis, stop, group=group, timeout=timeout_s)
    done = False
    while not done:  # as the wait says: only then is its progress bar closed
        if moved.done and not captured.done:
            # The gate is still open behind the line: triggers are missing, and no more will come.
            yield from bps.wait(group, timeout=ANSWER_S, error_on_timeout=False)
            yield from bps.stop(box)
        done = yield from bps.wait(group, timeout=COLLECT_S, error_on_timeout=False)
        yield from collect_new(request)
        if (yield from interrupted(request)):
            return True
    yield from collect_new(request)
    return (yield from interrupted(request))


def interrupted(request: TriggeredScan) -> MsgGenerator[bool]:
    """Return whether a pause has cut short what the box does."""
    # Without an answer the message itself was interrupted.
    return bool((yield from bps.rd(request.trigger_box.interrupted, default_value=1)))


def collect_rest(request: TriggeredScan, before: int = 0) -> MsgGenerator[None]:
    """Wait for the frames of all triggers that were given since the first `before`, and make documents of them."""
    triggers = yield from bps.rd(request.trigger_box.count)
    yield from bps.abs_set(request.detector.expected, int(triggers) - before, wait=True)
    group = short_uid("frames")
    done = False
    yield from bps.complete(request.detector, group=group)
    while not done:
        done = yield from bps.wait(group, timeout=COLLECT_S, error_on_timeout=False)
        yield from collect_new(request)


def save_rest(request: TriggeredScan, before: int = 0) -> MsgGenerator[None]:
    """Collect what there is after a failure, as far as that is possible."""
    try:
        yield from bps.stop(request.trigger_box)
        yield from collect_rest(request, before)
    except Exception:  # whatever the hardware raises now must not hide why the scan ended
        logger.exception("not all that was measured could be collected")
