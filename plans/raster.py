"""Raster scans with a pencil beam."""

# Annotations stay objects here: queueserver reads parameter types from them and cannot use strings.
import collections.abc
import typing

from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from plans.metadata import raster_scan_metadata
from plans.preprocessors import checked_plan
from plans.raster_request import check_raster_scan
from plans.raster_stubs import raster_run
from plans.request import check_md


@checked_plan
def raster_scan(
    detectors: collections.abc.Sequence[Readable],
    sample_stage: Readable,
    *,
    y_um: tuple[float, float, int],
    x_um: tuple[float, float, int],
    exposure: float = 1.0,
    mode: typing.Literal["step", "fly"] = "step",
    snake: bool = True,
    pinhole: Movable | None = None,
    shutter: Movable | None = None,
    recipes: list[str | dict[str, typing.Any]] | None = None,
    md: dict[str, typing.Any] | None = None,
) -> MsgGenerator[str]:
    """Scan the sample point by point with a pencil beam, with the detectors of a ghost scan, for comparison with it.

    Everything is checked where it is called, before anything moves. Each exposure is an event with the place that the sample
    had in its middle. A scan that is stopped is a valid scan of fewer points, whose last line may be short. The shutter ends
    closed whatever happens, and the pinhole out of the beam.

    Parameters
    ----------
    detectors : sequence of devices
        What to trigger and read, such as [xrf_spectrometer, diode].
    sample_stage : device
        The stage that carries the sample.
    y_um : tuple
        First and last line, in um, and how many; one line begins and ends at the same place.
    x_um : tuple
        First and last point of each line, in um, and how many.
    exposure : float
        Exposure time of each point in s.
    mode : {"step", "fly"}
        Whether the sample stands still during each exposure, or moves through the line while one follows the other. It then
        moves as if each reading took 0.2 s: with slower detectors a line has fewer points than asked for, with faster ones more.
    snake : bool
        Whether every other line runs backwards.
    pinhole : device, optional
        Brought into the beam for the scan. A session has its own as the default; without one, bring a pencil beam yourself.
    shutter : device, optional
        Opened for the points and closed at the end. A session has its own as the default.
    recipes : list of str or dict, optional
        Reconstructions to make. Default: those that the worker is configured for.
    md : dict, optional
        Metadata for the start document.

    Returns
    -------
    str
        Uid of the run.

    Raises
    ------
    ValueError
        If something that is asked for cannot be right or cannot be done; nothing has moved then.
    StageFailed, TriggersLost, ShutterFailed
        If the hardware fails. What was measured until then stays a valid run.
    """
    user_md = check_md(md)
    request = check_raster_scan(
        detectors,
        sample_stage,
        y_um=y_um,
        x_um=x_um,
        exposure=exposure,
        mode=mode,
        snake=snake,
        pinhole=pinhole,
        shutter=shutter,
        recipes=recipes,
    )
    plan_args = {
        "detectors": [detector.name for detector in request.detectors],
        "sample_stage": request.stage.name,
        "y_um": list(request.y_um),
        "x_um": list(request.x_um),
        "exposure": request.exposure,
        "mode": mode,
        "snake": snake,
        "pinhole": getattr(request.pinhole, "name", None),
        "shutter": getattr(request.shutter, "name", None),
        "recipes": request.recipes or None,
    }
    return raster_run(request, raster_scan_metadata(request, plan_args, user_md))
