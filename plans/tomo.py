"""Tomographic scans."""

# Annotations stay objects here: queueserver reads parameter types from them and cannot use strings.
import typing

from bluesky.protocols import Flyable, Movable, Readable
from bluesky.utils import MsgGenerator

from plans.metadata import tomo_scan_metadata
from plans.preprocessors import checked_plan
from plans.request import check_md
from plans.series_stubs import series_arguments
from plans.tomo_request import check_tomo_scan
from plans.tomo_stubs import tomo_run


@checked_plan
def tomo_scan(
    xray_camera: Flyable,
    rotation_stage: Readable,
    *,
    num: int,
    mode: typing.Literal["step", "fly"] = "fly",
    rate_hz: float | None = None,
    exposure_s: float | None = None,
    span_deg: float = 180.0,
    first_deg: float = 0.0,
    order: typing.Literal["equal", "interlaced", "golden"] = "equal",
    rounds: int = 1,
    darks: int = 10,
    flats: int = 10,
    when: typing.Literal["before", "after", "around", "between"] = "before",
    out_um: tuple[float, float] | None = None,
    sample_stage: Readable | None = None,
    angle_box: Flyable | None = None,
    shutter: Movable | None = None,
    recipes: list[str | dict[str, typing.Any]] | None = None,
    md: dict[str, typing.Any] | None = None,
) -> MsgGenerator[str]:
    """Turn the sample and take a radiograph at each angle.

    Everything is checked where it is called, before anything moves. Frames go into the camera's files; the stream "frames" says
    where they are, the stream "angles" holds the angle at each trigger, and both are joined by its number. A scan that is
    stopped is a valid scan of fewer angles. The shutter ends closed whatever happens.

    Parameters
    ----------
    xray_camera : device
        The camera.
    rotation_stage : device
        The stage that turns the sample.
    num : int
        Number of angles; few of them make a sparse scan.
    mode : {"step", "fly"}
        Whether the sample stands still at each angle, or turns at constant velocity.
    rate_hz : float, optional
        With "fly", frames a second.
    exposure_s : float, optional
        Exposure of each frame in s. Needed with "step"; with "fly" the default is as long as the camera can.
    span_deg : float
        The turn, whose end is not one of the angles: 180 or 360 degrees; below 0 it goes backwards.
    first_deg : float
        The first angle in degrees.
    order : {"equal", "interlaced", "golden"}
        Equal steps one after the other; equal steps whose rounds lie between each other; or, with "step" alone, steps by the
        golden section, of which any number is spread nearly evenly.
    rounds : int
        In how many rounds the angles are taken; between them there may be flats.
    darks : int
        Frames with the shutter closed, each time.
    flats : int
        Frames of the light alone, each time.
    when : {"before", "after", "around", "between"}
        When darks and flats are taken: before the rounds, after them, both, or between them too. Slices grow during the scan
        only where some are taken before.
    out_um : tuple, optional
        Where the sample stage takes the sample out of the light for flats, (y, x) in um. It is brought back.
    sample_stage : device, optional
        The stage that carries the sample. A session has its own as the default.
    angle_box : device, optional
        What triggers the camera and captures angles. A session has its own as the default.
    shutter : device, optional
        Opened for frames and flats, closed for darks and at the end. A session has its own as the default.
    recipes : list of str or dict, optional
        Reconstructions to make while the scan runs, such as ["fbp"]. Default: those that the worker is configured for.
    md : dict, optional
        Metadata for the start document, such as {"sample": "foam"}.

    Returns
    -------
    str
        Uid of the run.

    Raises
    ------
    ValueError
        If something that is asked for cannot be right or cannot be done; nothing has moved then.
    FrameFileError, DetectorError, StageFailed, TriggersLost, ShutterFailed
        If the hardware fails, such as a rotation that stalls. What was measured until then stays a valid run.
    """
    user_md = check_md(md)
    request = check_tomo_scan(
        xray_camera,
        rotation_stage,
        num=num,
        span_deg=span_deg,
        first_deg=first_deg,
        mode=mode,
        order=order,
        rounds=rounds,
        exposure_s=exposure_s,
        rate_hz=rate_hz,
        darks=darks,
        flats=flats,
        when=when,
        out_um=out_um,
        sample_stage=sample_stage,
        angle_box=angle_box,
        shutter=shutter,
        recipes=recipes,
    )
    plan_args = {
        "xray_camera": request.detector.name,
        "rotation_stage": request.stage.name,
        **series_arguments(request.series, exposure_s),
        "mode": mode,
        "rate_hz": rate_hz,
        "span_deg": request.span_deg,
        "first_deg": request.first_deg,
        "order": order,
        "rounds": rounds,
        "when": when,
        "angle_box": request.trigger_box.name,
    }
    return tomo_run(request, tomo_scan_metadata(request, plan_args, user_md))
