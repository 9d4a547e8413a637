"""Series of frames that any camera takes by itself: of what stands still, and of no sample at all."""

# Annotations stay objects here: queueserver reads parameter types from them and cannot use strings.
import typing

from bluesky.protocols import Flyable, Movable, Readable
from bluesky.utils import MsgGenerator

from plans.metadata import series_metadata
from plans.preprocessors import checked_plan
from plans.protocols import PairCamera
from plans.refusal import PlanRequestError
from plans.request import check_count, check_md
from plans.series_request import check_series
from plans.series_stubs import series_arguments, series_run


@checked_plan
def static_series(
    camera: Flyable,
    *,
    num: int,
    rate_hz: float = 24.0,
    exposure_s: float | None = None,
    darks: int = 0,
    flats: int = 0,
    out_um: tuple[float, float] | None = None,
    sample_stage: Readable | None = None,
    shutter: Movable | None = None,
    recipes: list[str | dict[str, typing.Any]] | None = None,
    md: dict[str, typing.Any] | None = None,
) -> MsgGenerator[str]:
    """Take frames of a scene that stands still.

    All go into the stream "frames". The mean of frame pairs is a reference for each of them. Of radiographs, the first half
    measures how the noise of neighbouring pixels is correlated, and all show what is left of that after decorrelation.

    Parameters
    ----------
    camera : device
        The dual camera or the X-ray camera.
    num : int
        Number of frames; an even one of the dual camera.
    rate_hz : float
        Frames a second.
    exposure_s : float, optional
        Exposure of each frame in s. Default: as long as the camera can.
    darks : int
        Frames with the shutter closed, taken first.
    flats : int
        Frames of the light alone, taken next.
    out_um : tuple, optional
        Where the sample stage takes the sample out of the light for flats, (y, x) in um. It is brought back.
    sample_stage : device, optional
        The stage that carries the sample. A session has its own as the default.
    shutter : device, optional
        Opened for flats and series, closed for darks and at the end. A session has its own as the default.
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
    FrameFileError, DetectorError, StageFailed, ShutterFailed
        If the hardware fails. What was taken until then stays a valid run.
    """
    user_md = check_md(md)
    if check_count(num, "num", least=2) % 2 and isinstance(camera, PairCamera):
        raise PlanRequestError(f"num is {num}, but static frames are compared with each other by halves: take an even number")
    request = check_series(
        camera,
        parameter="camera",
        num=num,
        rate_hz=rate_hz,
        exposure_s=exposure_s,
        darks=darks,
        flats=flats,
        static=True,
        sample_stage=sample_stage,
        out_um=out_um,
        shutter=shutter,
        recipes=recipes,
    )
    plan_args = {"camera": request.camera.name, **series_arguments(request, exposure_s)}
    return series_run(request, series_metadata("static_series", request, plan_args, user_md, kind="static"))


@checked_plan
def dark_flat_series(
    camera: Flyable,
    *,
    darks: int = 20,
    flats: int = 20,
    rate_hz: float = 24.0,
    exposure_s: float | None = None,
    out_um: tuple[float, float] | None = None,
    sample_stage: Readable | None = None,
    shutter: Movable | None = None,
    md: dict[str, typing.Any] | None = None,
) -> MsgGenerator[str]:
    """Take frames without light and frames of the light alone, and nothing else.

    Parameters
    ----------
    camera : device
        The dual camera or the X-ray camera.
    darks : int
        Frames with the shutter closed, taken first.
    flats : int
        Frames of the light alone, taken next.
    rate_hz : float
        Frames a second.
    exposure_s : float, optional
        Exposure of each frame in s. Default: as long as the camera can.
    out_um : tuple, optional
        Where the sample stage takes the sample out of the light for flats, (y, x) in um. It is brought back.
    sample_stage : device, optional
        The stage that carries the sample. A session has its own as the default.
    shutter : device, optional
        Opened for flats and series, closed for darks and at the end. A session has its own as the default.
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
    FrameFileError, DetectorError, StageFailed, ShutterFailed
        If the hardware fails. What was taken until then stays a valid run.
    """
    user_md = check_md(md)
    request = check_series(
        camera,
        parameter="camera",
        num=None,
        rate_hz=rate_hz,
        exposure_s=exposure_s,
        darks=darks,
        flats=flats,
        static=True,
        sample_stage=sample_stage,
        out_um=out_um,
        shutter=shutter,
    )
    plan_args = {"camera": request.camera.name, **series_arguments(request, exposure_s)}
    return series_run(request, series_metadata("dark_flat_series", request, plan_args, user_md, kind="dark_flat"))
