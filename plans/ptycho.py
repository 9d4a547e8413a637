"""Step scans for ptychography."""

# Annotations stay objects here: queueserver reads parameter types from them and cannot use strings.
import typing

from bluesky.protocols import Flyable, Movable, Readable
from bluesky.utils import MsgGenerator

from beamline.frames.values import TriggeredFrames
from plans.fly_stubs import triggered_run
from plans.metadata import ptycho_scan_metadata
from plans.preprocessors import checked_plan
from plans.ptycho_request import check_ptycho_scan
from plans.ptycho_stubs import visit_places
from plans.request import check_md


@checked_plan
def ptycho_scan(
    pixel_detector: Flyable,
    sample_stage: Readable,
    *,
    y_um: tuple[float, float],
    x_um: tuple[float, float],
    exposure_s: float,
    step_um: float | None = None,
    overlap: float | None = None,
    pattern: typing.Literal["spiral", "jittered_grid"] = "spiral",
    seed: int = 0,
    trigger_box: Flyable | None = None,
    shutter: Movable | None = None,
    recipes: list[str | dict[str, typing.Any]] | None = None,
    md: dict[str, typing.Any] | None = None,
) -> MsgGenerator[str]:
    """Move the sample from place to place and take a frame at each while it stands still.

    Everything is checked where it is called, before anything moves. The documents are those of `fly_scan`: the stream "frames"
    says where frames are, the stream "positions" holds where the sample was, both with the number of the trigger. A scan that
    is stopped is a valid scan of fewer places. The shutter ends closed whatever happens.

    Parameters
    ----------
    pixel_detector : device
        The detector that takes frames.
    sample_stage : device
        The stage that carries the sample.
    y_um, x_um : tuple
        Range that is scanned, (first, last) in um.
    exposure_s : float
        Exposure of each frame in s.
    step_um : float, optional
        Distance of neighbouring places in um: each stands for the square of it.
    overlap : float, optional
        In place of a step, the part of the beam's diameter that neighbours share, such as 0.7. The diameter follows from
        `[zone_plate]` in the configuration.
    pattern : {"spiral", "jittered_grid"}
        A Fermat spiral from the middle outwards; or lines whose places are each displaced at random by up to a third of a step.
    seed : int
        Of these displacements.
    trigger_box : device, optional
        What triggers the detector and captures positions. A session has its own as the default.
    shutter : device, optional
        Opened for the scan and closed at the end. A session has its own as the default.
    recipes : list of str or dict, optional
        Reconstructions to make while the scan runs, such as ["epie"]. Default: those that the worker is configured for.
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
    request = check_ptycho_scan(
        pixel_detector,
        sample_stage,
        y_um=y_um,
        x_um=x_um,
        exposure_s=exposure_s,
        step_um=step_um,
        overlap=overlap,
        pattern=pattern,
        seed=seed,
        trigger_box=trigger_box,
        shutter=shutter,
        recipes=recipes,
    )
    plan_args = {
        "pixel_detector": request.detector.name,
        "sample_stage": request.stage.name,
        "y_um": list(request.y_um[:2]),
        "x_um": list(request.x_um[:2]),
        "exposure_s": request.exposure_s,
        "step_um": step_um,
        "overlap": overlap,
        "pattern": pattern,
        "seed": seed,
        "trigger_box": request.trigger_box.name,
        "shutter": getattr(request.shutter, "name", None),
        "recipes": request.recipes or None,
    }
    frames = TriggeredFrames(request.exposure_s, request.period_s, request.shape)
    return triggered_run(request, frames, ptycho_scan_metadata(request, plan_args, user_md), lambda: visit_places(request))
