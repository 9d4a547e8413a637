"""Series of radiographs."""

# Annotations stay objects here: queueserver reads parameter types from them and cannot use strings.
import typing

from bluesky.protocols import Flyable, Movable, Readable
from bluesky.utils import MsgGenerator

from plans.metadata import series_metadata
from plans.preprocessors import checked_plan
from plans.protocols import RadiographCamera
from plans.request import check_md
from plans.series_request import check_series
from plans.series_stubs import series_arguments, series_run


@checked_plan
def radiograph_series(
    xray_camera: Flyable,
    *,
    num: int,
    rate_hz: float = 10.0,
    exposure_s: float | None = None,
    darks: int = 0,
    flats: int = 0,
    static: int = 0,
    out_um: tuple[float, float] | None = None,
    sample_stage: Readable | None = None,
    shutter: Movable | None = None,
    recipes: list[str | dict[str, typing.Any]] | None = None,
    md: dict[str, typing.Any] | None = None,
) -> MsgGenerator[str]:
    """Take radiographs at a fixed rate; one alone is a still.

    Everything is checked where it is called, before anything moves. Frames go into the camera's files; the streams "darks",
    "flats", "static" and "frames" say where they are. A frame that is missing leaves a gap in the numbers. A pause stops the
    camera, which takes the frames that are left after it; a series that is stopped is a valid series of fewer frames. The
    shutter ends closed whatever happens.

    Parameters
    ----------
    xray_camera : device
        The camera.
    num : int
        Number of frames.
    rate_hz : float
        Frames a second.
    exposure_s : float, optional
        Exposure of each frame in s. Default: as long as the camera can.
    darks : int
        Frames with the shutter closed, taken first.
    flats : int
        Frames of the light alone, taken next.
    static : int
        Frames before the series, while nothing may move: the correlation of the noise is measured with them.
    out_um : tuple, optional
        Where the sample stage takes the sample out of the light for flats, (y, x) in um. It is brought back.
    sample_stage : device, optional
        The stage that carries the sample. A session has its own as the default.
    shutter : device, optional
        Opened for all but darks, closed for those and at the end. A session has its own as the default.
    recipes : list of str or dict, optional
        Reconstructions to make. Default: those that the worker is configured for.
    md : dict, optional
        Metadata for the start document, such as {"sample": "fluidised bed"}.

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
        xray_camera,
        parameter="xray_camera",
        kind=RadiographCamera,
        num=num,
        rate_hz=rate_hz,
        exposure_s=exposure_s,
        darks=darks,
        flats=flats,
        static=False,
        static_num=static,
        sample_stage=sample_stage,
        out_um=out_um,
        shutter=shutter,
        recipes=recipes,
    )
    plan_args = {"xray_camera": request.camera.name, **series_arguments(request, exposure_s), "static": static}
    return series_run(request, series_metadata("radiograph_series", request, plan_args, user_md))
