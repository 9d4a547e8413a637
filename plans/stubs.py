"""The steps of the plans. None of them opens a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable, Triggerable
from bluesky.utils import FailedStatus, Msg, MsgGenerator, short_uid

from plans.protocols import BucketDetector, LineStage, MaskPositioner, TroubledStage

SETTLE_S = 0.2
"""How long to wait before something that failed is tried again."""

MOST_LOST_IN_A_ROW = 3
"""Lost exposures after which a scan gives up."""


class ShutterFailed(RuntimeError):
    """The shutter did not go where it was sent."""


class MaskNotReached(RuntimeError):
    """The mask stage did not bring the mask into the beam."""


class TriggersLost(RuntimeError):
    """The detectors no longer answer triggers."""


def open_shutter(shutter: Movable) -> MsgGenerator[None]:
    """Open the shutter and wait until it is open."""
    yield from _drive_shutter(shutter, "Open")


def close_shutter(shutter: Movable) -> MsgGenerator[None]:
    """Close the shutter and wait until it is closed."""
    yield from _drive_shutter(shutter, "Closed")


def _drive_shutter(shutter: Movable, position: str) -> MsgGenerator[None]:
    for attempt in (1, 2):
        try:
            yield from bps.abs_set(shutter, position, wait=True)
            return
        except FailedStatus as failure:
            if attempt == 2:
                name = getattr(shutter, "name", shutter)
                cause = failure.__cause__ or failure
                raise ShutterFailed(f"{name} could not be set to {position!r}: {cause}. Check it before continuing") from failure
        yield from bps.sleep(SETTLE_S)


def move_to_mask(mask_stage: MaskPositioner, index: int) -> MsgGenerator[None]:
    """Bring a mask into the beam, and make sure by reading back that it is this one.

    A move that fails is stopped and tried once more.

    Raises
    ------
    MaskNotReached
        If it fails again. A stage that does not move makes every realization that follows worthless.
    """
    cause: FailedStatus | None = None
    for attempt in (1, 2):
        try:
            yield from bps.abs_set(mask_stage, index, wait=True)
            actual = yield from bps.rd(mask_stage.index, default_value=index)
            if actual == index:
                return
            cause = None
        except FailedStatus as failure:
            cause = failure
        yield from bps.stop(mask_stage)
        if attempt == 1:
            yield from bps.sleep(SETTLE_S)
    actual = yield from bps.rd(mask_stage.index)
    off_y = yield from bps.rd(mask_stage.offset_y_um)
    off_x = yield from bps.rd(mask_stage.offset_x_um)
    raise MaskNotReached(
        f"{mask_stage.name} did not bring mask {index} into the beam: it stands {off_y:.1f} um (y) and {off_x:.1f} um (x) "
        f"from mask {actual}. {told_trouble(mask_stage)}"
    ) from cause


def move_stage(stage: LineStage, y_um: float, x_um: float) -> MsgGenerator[None]:
    """Move both axes of a stage to a place, and wait until they have arrived.

    Raises
    ------
    FailedStatus
        If an axis does not arrive in time.
    """
    group = short_uid("place")
    for axis, position in ((stage.y, y_um), (stage.x, x_um)):
        yield from bps.abs_set(axis, position / stage.um_per_unit, group=group, timeout=stage.move_timeout_s)
    yield from bps.wait(group)


def told_trouble(stage: TroubledStage) -> str:
    """Say why a stage did not move, as far as its motor records show it."""
    try:
        trouble = stage.trouble()
    except Exception as error:  # whatever Channel Access raises when the IOC has just died
        return f"Its motor records do not answer ({error}): is the IOC running?"
    return trouble or "Its motor records show no fault: is an axis stalled?"


def expose(detectors: Sequence[Readable]) -> MsgGenerator[bool]:
    """Trigger all detectors and wait for them, once more if a bucket detector lost its trigger.

    Returns
    -------
    bool
        Whether a trigger was lost again; the readings of that detector are then NaN.
    """
    lost = yield from _expose_once(detectors)
    if lost:
        lost = yield from _expose_once(detectors)
    return lost


def _expose_once(detectors: Sequence[Readable]) -> MsgGenerator[bool]:
    group = short_uid("expose")
    for detector in detectors:
        if isinstance(detector, Triggerable):
            yield from bps.trigger(detector, group=group)
    yield from bps.wait(group)
    lost = False
    for detector in detectors:
        if isinstance(detector, BucketDetector):
            lost |= bool((yield from bps.rd(detector.lost)))
    return lost


def declare(readables: Sequence[Readable], stream: str) -> MsgGenerator[None]:
    """Announce a stream before its first event, for `record`."""
    yield from bps.declare_stream(*readables, name=stream)


def record(readables: Sequence[Readable], stream: str) -> MsgGenerator[None]:
    """Read devices into one event of a stream that has been declared.

    Not to be repeated after a pause: an event that is already out would come a second time under its number. The
    RunEngine then continues where it was, which works because it cannot be interrupted within these messages: it only
    waits within them to describe a device that it has not seen, hence `declare`.
    """

    def bundle() -> MsgGenerator[None]:
        yield from bps.create(stream)
        for readable in readables:
            yield from bps.read(readable)

    # A bundle left open would make the run's last readings fail too, and hide why.
    closed = bpp.contingency_wrapper(bundle(), except_plan=lambda error: bps.drop(), else_plan=bps.save)
    yield from bpp.rewindable_wrapper(closed, False)


def measure_realization(
    detectors: Sequence[Readable],
    mask_stage: MaskPositioner,
    index: int,
    *,
    shutter: Movable | None = None,
    close_between: bool = False,
    per_step: Callable[..., MsgGenerator[Any]] | None = None,
) -> MsgGenerator[bool]:
    """Measure the buckets of one mask into the stream "primary", by itself or by what the user gave as `per_step`.

    Returns
    -------
    bool
        Whether a trigger was lost, so that the event holds NaN.
    """
    yield Msg("checkpoint")
    if per_step is None:
        yield from move_to_mask(mask_stage, index)
    if shutter is not None:
        # Each time, and not only before the first: after a pause or a suspension it is closed.
        yield from open_shutter(shutter)
    lost = False
    if per_step is None:
        lost = yield from expose(detectors)
    else:
        yield from per_step(list(detectors), mask_stage, index)
    if shutter is not None and close_between:
        yield from close_shutter(shutter)
    if per_step is None:
        yield from record([*detectors, mask_stage], "primary")
    return lost


def measure_dark(detectors: Sequence[Readable]) -> MsgGenerator[bool]:
    """Expose once with the shutter as it is, into the stream "dark".

    Returns
    -------
    bool
        Whether a trigger was lost.
    """
    yield Msg("checkpoint")
    lost = yield from expose(detectors)
    yield from record(detectors, "dark")
    return lost


def measure_light(detectors: Sequence[Readable], shutter: Movable) -> MsgGenerator[bool]:
    """Expose once with the shutter open, into the stream "primary".

    Returns
    -------
    bool
        Whether a trigger was lost.
    """
    yield Msg("checkpoint")
    # Each time, and not only before the first: after a pause or a suspension it is closed.
    yield from open_shutter(shutter)
    lost = yield from expose(detectors)
    yield from record(detectors, "primary")
    return lost


def count_lost(steps: Iterable[MsgGenerator[bool]]) -> MsgGenerator[None]:
    """Run measuring steps one after the other.

    Raises
    ------
    TriggersLost
        If so many in a row lost their trigger that nothing more is to be hoped for.
    """
    in_a_row = 0
    for step in steps:
        lost = yield from step
        in_a_row = in_a_row + 1 if lost else 0
        if in_a_row == MOST_LOST_IN_A_ROW:
            raise TriggersLost(
                f"{in_a_row} exposures in a row were lost although each was tried twice: is the detector counting at all?"
            )


def set_exposure(detectors: Sequence[BucketDetector], exposure: float) -> MsgGenerator[None]:
    """Set the exposure time, in s, of all bucket detectors."""
    for detector in detectors:
        yield from bps.abs_set(detector.exposure, exposure, wait=True)
