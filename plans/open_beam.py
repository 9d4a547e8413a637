"""Measures what `[diode] open_beam_ratio` is calibrated with."""

# Annotations stay objects here: queueserver reads parameter types from them and cannot use strings.
import collections.abc
import typing

import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from plans.metadata import exposures_metadata
from plans.preprocessors import checked_plan, closed_shutter_decorator
from plans.request import check_count, check_detectors, check_exposure, check_md, check_shutter
from plans.stubs import close_shutter, count_lost, declare, measure_dark, measure_light, set_exposure


@checked_plan
def open_beam_scan(
    detectors: collections.abc.Sequence[Readable],
    *,
    num: int = 20,
    exposure: float = 1.0,
    shutter: Movable | None = None,
    md: dict[str, typing.Any] | None = None,
) -> MsgGenerator[str]:
    """Measure buckets and monitor without and with light, with neither mask plate nor sample in the beam.

    The streams "dark" and "primary" of the run hold what `open_beam_ratio` follows from. Take plate and sample out first.

    Parameters
    ----------
    detectors : sequence of devices
        What to trigger and read, with at least one bucket detector, such as [diode].
    num : int
        Number of exposures without light, and as many with it.
    exposure : float
        Exposure time of each in s.
    shutter : device, optional
        Closed for the first half, open for the second, and closed at the end. Default: the session's shutter.
    md : dict, optional
        Metadata for the start document.

    Returns
    -------
    str
        Uid of the run.

    Raises
    ------
    ValueError
        If a parameter is impossible; nothing has moved then.
    ShutterFailed, TriggersLost
        If the hardware fails. What was measured until then stays a valid run.
    """
    user_md = check_md(md)
    found, buckets = check_detectors(detectors, shutter=shutter)
    check_count(num, "num")
    seconds = check_exposure(exposure, buckets)
    driven = check_shutter(shutter, "open_beam_scan")
    names = [detector.name for detector in found]
    plan_args = {"detectors": names, "num": num, "exposure": seconds, "shutter": getattr(driven, "name", None)}

    @bpp.run_decorator(md=exposures_metadata("open_beam_scan", "primary", names, num, plan_args, user_md))
    @bpp.stage_decorator(list(found))
    @closed_shutter_decorator(driven)
    def measure() -> MsgGenerator[None]:
        yield from set_exposure(buckets, seconds)
        yield from close_shutter(driven)
        yield from declare(found, "dark")
        yield from count_lost(measure_dark(found) for _ in range(num))
        yield from declare(found, "primary")
        yield from count_lost(measure_light(found, driven) for _ in range(num))

    def scan() -> MsgGenerator[str]:
        return (yield from measure())

    return scan()
