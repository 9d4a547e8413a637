"""Checks what a series of frames is asked to be, before anything moves and before a run is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from beamline.frames.values import FrameSeries
from plans.frame_request import check_rate, check_shape
from plans.protocols import BeamShutter, LineStage, PairCamera, SeriesCamera
from plans.recipes import check_recipes
from plans.refusal import PlanRequestError
from plans.request import check_count, check_device, check_flag, check_shutter, is_number


@dataclass(frozen=True)
class SeriesRequest:
    """A series of frames that has been checked.

    Parameters
    ----------
    camera : SeriesCamera
    stage : LineStage, optional
        Takes what is in the light out of it for flat fields.
    out_um : pair of float, optional
        Where it goes for that, (y, x).
    shutter : BeamShutter, optional
    num, darks, flats, static_num : int
        Frames of the scene, without light, of the light alone, and of the scene as long as it stands still.
    rate_hz, exposure_s : float
    static : bool
        Whether the scene stands still in the series.
    shape : pair of int
        Rows and columns of a frame.
    recipes : list of dict
        Which reconstructions are asked for; empty where the worker is to choose.
    """

    camera: SeriesCamera
    stage: LineStage | None
    out_um: tuple[float, float] | None
    shutter: BeamShutter | None
    num: int
    darks: int
    flats: int
    static_num: int
    rate_hz: float
    exposure_s: float
    static: bool
    shape: tuple[int, int]
    recipes: list[dict[str, Any]]

    @property
    def streams(self) -> dict[str, int]:
        """Streams of frames that the run has, in the order in which they begin, and how many frames each has."""
        numbers = {"darks": self.darks, "flats": self.flats, "static": self.static_num, "frames": self.num}
        return {stream: num for stream, num in numbers.items() if num}

    def series(self, num: int, taken: int, before: int = 0) -> FrameSeries:
        """Return the camera's settings for `num` frames, of which its file has `taken`, after `before` frames in other files."""
        return FrameSeries(num, taken, self.exposure_s, 1.0 / self.rate_hz, self.shape, before)


def check_series(
    camera: Any,
    *,
    parameter: str,
    kind: type = SeriesCamera,
    num: Any,
    rate_hz: Any,
    exposure_s: Any,
    darks: Any,
    flats: Any,
    static: Any,
    sample_stage: Any,
    out_um: Any,
    shutter: Any,
    carried: str = "the sample",
    static_num: Any = 0,
    recipes: Any = None,
) -> SeriesRequest:
    """Check all that a series is asked for; see `plans.pairs.frame_pair_series` and `plans.radiographs.radiograph_series`.

    Parameters
    ----------
    parameter : str
        What the plan calls the camera.
    kind : type
        What the camera must be.
    num : int or None
        None: the run is of darks and flats alone.
    carried : str
        What the stage takes out of the light for flats.

    Raises
    ------
    PlanRequestError
        If it cannot be done, and why.
    """
    check_device(camera, kind, parameter)
    frames = 0 if num is None else check_count(num, "num")
    if isinstance(camera, PairCamera) and camera.pairing == "consecutive" and frames % 2:
        raise PlanRequestError(f"num is {frames}, but two consecutive frames are a pair: take an even number")
    dark_num, flat_num = check_count(darks, "darks", least=0), check_count(flats, "flats", least=0)
    if num is None and not dark_num + flat_num:
        raise PlanRequestError("darks and flats are both 0: ask for one frame at least")
    check_flag(static, "static")
    still = check_count(static_num, "static", least=0)
    rate, exposure = check_rate(camera, rate_hz, exposure_s)
    shape = check_shape(camera)
    if shape != camera.sensor:
        halves = ", and halves if they are set" if isinstance(camera, PairCamera) else ""
        raise PlanRequestError(
            f"the frames of {camera.name} have {shape} pixels (rows, columns), the configuration says {camera.sensor}: "
            f"correct [{camera.name}] sensor{halves}, or read the whole sensor"
        )
    if dark_num:
        check_shutter(shutter, "darks above 0")
    elif shutter is not None:
        check_device(shutter, BeamShutter, "shutter")
    stage, place = (
        (sample_stage, _place(sample_stage, out_um, carried)) if flat_num and sample_stage is not None else (None, None)
    )
    return SeriesRequest(
        camera=camera,
        stage=stage,
        out_um=place,
        shutter=shutter,
        num=frames,
        darks=dark_num,
        flats=flat_num,
        static_num=still,
        rate_hz=rate,
        exposure_s=exposure,
        static=static,
        shape=shape,
        recipes=check_recipes(recipes),
    )


def _place(stage: Any, out_um: Any, carried: str) -> tuple[float, float]:
    """Return where the stage goes for flat fields; it must be able to."""
    check_device(stage, LineStage, "sample_stage")
    wanted = f"out_um must say where {stage.name} takes {carried} out of the light, (y, x) in um, such as (0, 5000)"
    if isinstance(out_um, (str, bytes)) or not isinstance(out_um, Sequence) or len(out_um) != 2:
        raise PlanRequestError(f"flats above 0: {wanted}, not {out_um!r}. Where it stands now, if {carried} is out already")
    for axis, value in zip(stage.axes(), out_um, strict=True):
        if not is_number(value):
            raise PlanRequestError(f"{wanted}, not {out_um!r}")
        if axis.low_um < axis.high_um and not axis.low_um <= value <= axis.high_um:
            raise PlanRequestError(
                f"out_um: {value:g} um is beyond the limits of {axis.name}, {axis.low_um:g} to {axis.high_um:g} um: stay within"
            )
    if why := stage.why_not_ready():
        raise PlanRequestError(f"{stage.name} is not ready: {why}")
    return float(out_um[0]), float(out_um[1])
