"""Fly scans."""

# Annotations stay objects here: queueserver reads parameter types from them and cannot use strings.
import typing

from bluesky.protocols import Flyable, Movable, Readable
from bluesky.utils import MsgGenerator

from beamline.frames.values import TriggeredFrames
from plans.fly_request import check_fly_scan
from plans.fly_stubs import fly_lines, triggered_run
from plans.metadata import fly_scan_metadata
from plans.preprocessors import checked_plan
from plans.request import check_md


@checked_plan
def fly_scan(
    pixel_detector: Flyable,
    sample_stage: Readable,
    *,
    y_um: tuple[float, ...],
    x_um: tuple[float, ...],
    rate_hz: float | None = None,
    exposure_s: float | None = None,
    overlap: float | None = None,
    dose_um2: float | None = None,
    flux: float | None = None,
    snake: bool = True,
    trigger_box: Flyable | None = None,
    shutter: Movable | None = None,
    recipes: list[str | dict[str, typing.Any]] | None = None,
    md: dict[str, typing.Any] | None = None,
) -> MsgGenerator[str]:
    """Move the sample in lines at constant velocity and take a frame at each point.

    Everything is checked where it is called, before anything moves. Frames go into the detector's file; the stream "frames" says
    where they are, the stream "positions" holds where the sample was at each trigger. A frame that is missing leaves a gap in
    the numbers. A scan that is stopped is a valid scan of fewer lines. The shutter ends closed whatever happens.

    Parameters
    ----------
    pixel_detector : device
        The detector that takes frames.
    sample_stage : device
        The stage that carries the sample.
    y_um : tuple
        First and last line, in um, and how many; the number is left out where an overlap is given.
    x_um : tuple
        First and last point of each line, in um, and how many; the number is left out where an overlap is given.
    rate_hz : float, optional
        Frames a second. Needed unless a dose is given.
    exposure_s : float, optional
        Exposure of each frame in s. Default: as long as the detector can.
    overlap : float, optional
        The least part of the beam's diameter that neighbouring points share, such as 0.7: it decides how many lines and points
        there are. The diameter follows from `[zone_plate]` in the configuration.
    dose_um2 : float, optional
        Incident photons per um^2 that the scanned area is to get: it decides rate and exposure.
    flux : float, optional
        Photons per second in the beam, for the dose.
    snake : bool
        Whether every other line runs backwards.
    trigger_box : device, optional
        What triggers the detector and captures positions. A session has its own as the default.
    shutter : device, optional
        Opened for the lines and closed at the end. A session has its own as the default.
    recipes : list of str or dict, optional
        Reconstructions to make while the scan runs, such as ["sums", {"method": "epie", "options": {"modes": 2}}]. Default: those
        that the worker is configured for.
    md : dict, optional
        Metadata for the start document, such as {"sample": "CAS"}.

    Returns
    -------
    str
        Uid of the run.

    Raises
    ------
    ValueError
        If something that is asked for cannot be right or cannot be done; nothing has moved then.
    FrameFileError, DetectorError, StageFailed, TriggersLost, ShutterFailed
        If the hardware fails. What was measured until then stays a valid run.
    """
    user_md = check_md(md)
    request = check_fly_scan(
        pixel_detector,
        sample_stage,
        y_um=y_um,
        x_um=x_um,
        rate_hz=rate_hz,
        exposure_s=exposure_s,
        overlap=overlap,
        dose_um2=dose_um2,
        flux=flux,
        snake=snake,
        trigger_box=trigger_box,
        shutter=shutter,
        recipes=recipes,
    )
    scan = request.scan
    plan_args = {
        "pixel_detector": request.detector.name,
        "sample_stage": request.stage.name,
        "y_um": list(scan.y_um),
        "x_um": list(scan.x_um),
        "rate_hz": scan.rate_hz,
        "exposure_s": exposure_s,
        "overlap": overlap,
        "dose_um2": dose_um2,
        "flux": flux,
        "snake": snake,
        "trigger_box": request.trigger_box.name,
        "shutter": getattr(request.shutter, "name", None),
        "recipes": request.recipes or None,
    }
    frames = TriggeredFrames(scan.exposure_s, scan.period_s, request.shape)
    return triggered_run(request, frames, fly_scan_metadata(request, plan_args, user_md), lambda: fly_lines(request))
