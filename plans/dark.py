"""Dark scans."""

# Annotations stay objects here: queueserver reads parameter types from them and cannot use strings.
import collections.abc
import typing

import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from plans.metadata import exposures_metadata
from plans.preprocessors import checked_plan, closed_shutter_decorator
from plans.request import check_count, check_detectors, check_exposure, check_md, check_shutter
from plans.stubs import close_shutter, count_lost, declare, measure_dark, set_exposure


@checked_plan
def dark_scan(
    detectors: collections.abc.Sequence[Readable],
    *,
    num: int = 10,
    exposure: float = 0.1,
    shutter: Movable | None = None,
    md: dict[str, typing.Any] | None = None,
) -> MsgGenerator[str]:
    """Measure the dark counts of the detectors, into the stream "dark".

    Parameters
    ----------
    detectors : sequence of devices
        What to trigger and read, with at least one bucket detector, such as [diode].
    num : int
        Number of exposures.
    exposure : float
        Exposure time of each in s.
    shutter : device, optional
        Closed first, and left closed. Default: the session's shutter.
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
    closed = check_shutter(shutter, "dark_scan")
    names = [detector.name for detector in found]
    plan_args = {"detectors": names, "num": num, "exposure": seconds, "shutter": getattr(closed, "name", None)}

    @bpp.run_decorator(md=exposures_metadata("dark_scan", "dark", names, num, plan_args, user_md))
    @bpp.stage_decorator(list(found))
    @closed_shutter_decorator(closed)
    def measure() -> MsgGenerator[None]:
        yield from close_shutter(closed)
        yield from set_exposure(buckets, seconds)
        yield from declare(found, "dark")
        yield from count_lost(measure_dark(found) for _ in range(num))

    def scan() -> MsgGenerator[str]:
        return (yield from measure())

    return scan()
