"""Checks what a series of frame pairs is asked to be, before anything moves and before a run is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from beamline.frames.values import FrameSeries
from plans.frame_request import check_rate, check_shape
from plans.protocols import BeamShutter, LineStage, PairCamera
from plans.recipes import check_recipes
from plans.refusal import PlanRequestError
from plans.request import check_count, check_device, check_shutter, is_number


@dataclass(frozen=True)
class PairRequest:
    """A series of frames that has been checked.

    Parameters
    ----------
    camera : PairCamera
    stage : LineStage, optional
        Takes the sample out of the light for flat fields.
    out_um : pair of float, optional
        Where it goes for that, (y, x).
    shutter : BeamShutter, optional
    num, darks, flats : int
        Frames of the scene, without light, and of the light alone.
    rate_hz, exposure_s : float
    static : bool
        Whether the scene stands still.
    shape : pair of int
        Rows and columns of a frame.
    recipes : list of dict
        Which reconstructions are asked for; empty where the worker is to choose.
    """

    camera: PairCamera
    stage: LineStage | None
    out_um: tuple[float, float] | None
    shutter: BeamShutter | None
    num: int
    darks: int
    flats: int
    rate_hz: float
    exposure_s: float
    static: bool
    shape: tuple[int, int]
    recipes: list[dict[str, Any]]

    def series(self, num: int, taken: int) -> FrameSeries:
        """Return what the camera is told of so many frames, some of which it has taken already."""
        return FrameSeries(num, taken, self.exposure_s, 1.0 / self.rate_hz, self.shape)


def check_pairs(
    dual_camera: Any,
    *,
    num: Any,
    rate_hz: Any,
    exposure_s: Any,
    darks: Any,
    flats: Any,
    static: Any,
    sample_stage: Any,
    out_um: Any,
    shutter: Any,
    recipes: Any = None,
) -> PairRequest:
    """Check all that a series is asked for; see `plans.pairs.frame_pair_series`.

    Parameters
    ----------
    num : int or None
        None: the run is of darks and flats alone.

    Raises
    ------
    PlanRequestError
        If it cannot be done, and why.
    """
    check_device(dual_camera, PairCamera, "dual_camera")
    frames = 0 if num is None else check_count(num, "num")
    if dual_camera.pairing == "consecutive" and frames % 2:
        raise PlanRequestError(f"num is {frames}, but two consecutive frames are a pair: take an even number")
    dark_num, flat_num = check_count(darks, "darks", least=0), check_count(flats, "flats", least=0)
    if num is None and not dark_num + flat_num:
        raise PlanRequestError("darks and flats are both 0: ask for one frame at least")
    if not isinstance(static, bool):
        raise PlanRequestError(f"static must be True or False, not {static!r}")
    rate, exposure = check_rate(dual_camera, rate_hz, exposure_s)
    shape = check_shape(dual_camera)
    if shape != dual_camera.sensor:
        raise PlanRequestError(
            f"the frames of {dual_camera.name} have {shape} pixels (rows, columns), the configuration says {dual_camera.sensor}: "
            f"correct [{dual_camera.name}] sensor, and halves if they are set, or read the whole sensor"
        )
    if dark_num:
        check_shutter(shutter, "darks above 0")
    elif shutter is not None:
        check_device(shutter, BeamShutter, "shutter")
    stage, place = (sample_stage, _place(sample_stage, out_um)) if flat_num and sample_stage is not None else (None, None)
    return PairRequest(
        camera=dual_camera,
        stage=stage,
        out_um=place,
        shutter=shutter,
        num=frames,
        darks=dark_num,
        flats=flat_num,
        rate_hz=rate,
        exposure_s=exposure,
        static=static,
        shape=shape,
        recipes=check_recipes(recipes),
    )


def _place(stage: Any, out_um: Any) -> tuple[float, float]:
    """Return where the stage goes for flat fields; it must be able to."""
    check_device(stage, LineStage, "sample_stage")
    wanted = "out_um must say where sample_stage takes the sample out of the light, (y, x) in um, such as (0, 5000)"
    if isinstance(out_um, (str, bytes)) or not isinstance(out_um, Sequence) or len(out_um) != 2:
        raise PlanRequestError(f"flats above 0: {wanted}, not {out_um!r}. Where it stands now, if the sample is out already")
    for axis, value in zip(stage.axes(), out_um, strict=True):
        if isinstance(value, (bool, str)) or not is_number(value):
            raise PlanRequestError(f"{wanted}, not {out_um!r}")
        if axis.low_um < axis.high_um and not axis.low_um <= value <= axis.high_um:
            raise PlanRequestError(
                f"out_um: {value:g} um is beyond the limits of {axis.name}, {axis.low_um:g} to {axis.high_um:g} um: stay within"
            )
    if why := stage.why_not_ready():
        raise PlanRequestError(f"{stage.name} is not ready: {why}")
    return float(out_um[0]), float(out_um[1])
