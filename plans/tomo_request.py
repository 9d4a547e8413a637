"""Checks what a tomographic scan is asked to do, before anything moves and before a run is opened."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from beamline.frames.values import LineTriggers, TriggeredFrames
from beamline.motion.sweeps import RotationAxis, Sweep
from plans.frame_request import positive
from plans.protocols import BeamShutter, LineTriggerBox, RadiographCamera, Rotation, SeriesCamera
from plans.refusal import PlanRequestError
from plans.request import check_choice, check_count, check_device, is_number
from plans.series_request import SeriesRequest, check_series
from plans.tomo_angles import ORDERS, projection_angles

MODES = ("step", "fly")
WHEN = ("before", "after", "around", "between")
_FARTHEST_DEG = 36_000.0
_TURNS_RAD = (math.pi / 2, math.pi, 2 * math.pi)


@dataclass(frozen=True, eq=False)
class TomoRequest:
    """A tomographic scan that has been checked.

    Parameters
    ----------
    series : SeriesRequest
        Camera, darks and flats; its `num` is that of all angles.
    stage : Rotation
    trigger_box : LineTriggerBox
        Captures the angles.
    axis : RotationAxis
        As the motor record was when it was checked.
    mode : {"step", "fly"}
    order : str
    rounds : tuple of ndarray
        The angles of each, degrees, in the order in which they are visited.
    when : str
        When darks and flats are taken.
    first_deg, span_deg : float
    """

    series: SeriesRequest
    stage: Rotation
    trigger_box: LineTriggerBox
    axis: RotationAxis
    mode: Literal["step", "fly"]
    order: str
    rounds: tuple[np.ndarray, ...]
    when: str
    first_deg: float
    span_deg: float

    @property
    def detector(self) -> SeriesCamera:
        """What takes frames."""
        return self.series.camera

    @property
    def shutter(self) -> BeamShutter | None:
        """Ends closed."""
        return self.series.shutter

    @property
    def uninterrupted(self) -> tuple[tuple[np.ndarray, ...], ...]:
        """The rounds between which neither darks nor flats are taken."""
        return tuple((angles,) for angles in self.rounds) if self.when == "between" else (self.rounds,)

    @property
    def period_s(self) -> float:
        """Shortest time from one exposure to the next, in s."""
        return 1.0 / self.series.rate_hz

    def frames(self, before: int) -> TriggeredFrames:
        """Return the camera's settings for the next round, after `before` triggers."""
        return TriggeredFrames(self.series.exposure_s, self.period_s, self.series.shape, before)

    def sweep(self, angles: np.ndarray) -> Sweep:
        """Return the turn that passes the angles of a round."""
        return Sweep(angles.tolist(), self.series.rate_hz, self.series.exposure_s, self.axis.acceleration_s)

    def triggers(self, sweep: Sweep | None = None) -> LineTriggers:
        """Return what the trigger box is to do during a sweep, or at one angle."""
        return LineTriggers(
            gate=None if sweep is None else self.axis.dial_deg(sweep.gate_deg),
            width=0.0 if sweep is None else sweep.width_deg,
            num=1 if sweep is None else len(sweep.angles_deg),
            total=self.series.num,
            exposure_s=self.series.exposure_s,
            period_s=self.period_s,
            offsets=(self.axis.offset_deg,),
            signs=(self.axis.sign,),
        )


def check_tomo_scan(
    xray_camera: Any,
    rotation_stage: Any,
    *,
    num: Any,
    span_deg: Any,
    first_deg: Any,
    mode: Any,
    order: Any,
    rounds: Any,
    exposure_s: Any,
    rate_hz: Any,
    darks: Any,
    flats: Any,
    when: Any,
    out_um: Any,
    sample_stage: Any,
    angle_box: Any,
    shutter: Any,
    recipes: Any,
) -> TomoRequest:
    """Check all that a tomographic scan is asked for; see `plans.tomo.tomo_scan`.

    Raises
    ------
    PlanRequestError
        If it cannot be done, and why.
    """
    check_device(rotation_stage, Rotation, "rotation_stage")
    if angle_box is None:
        raise PlanRequestError("angle_box: tomo_scan needs the box that triggers the camera: pass angle_box=...")
    check_device(angle_box, LineTriggerBox, "angle_box")
    for value, choices, name in ((mode, MODES, "mode"), (order, ORDERS, "order"), (when, WHEN, "when")):
        check_choice(value, choices, name)
    total = check_count(num, "num", least=2)
    first, span = _angle(first_deg, "first_deg"), _span(span_deg)
    parts = _rounds(rounds, total, order, mode)
    check_device(xray_camera, RadiographCamera, "xray_camera")
    series = check_series(
        xray_camera,
        parameter="xray_camera",
        num=total,
        rate_hz=_rate(mode, rate_hz, exposure_s, xray_camera),
        exposure_s=exposure_s,
        darks=darks,
        flats=flats,
        static=False,
        sample_stage=sample_stage,
        out_um=out_um,
        shutter=shutter,
        recipes=recipes,
    )
    if why := rotation_stage.why_not_ready():
        raise PlanRequestError(f"{rotation_stage.name} is not ready: {why}")
    angles = projection_angles(order, total, parts, first, span)
    if mode == "fly":  # back and forth
        angles = [part[::-1] if number % 2 else part for number, part in enumerate(angles)]
    axis = rotation_stage.axis()
    request = TomoRequest(
        series, rotation_stage, angle_box, axis, mode, order, tuple(angles), when, first_deg=first, span_deg=span
    )
    if why := _why_impossible(request):
        raise PlanRequestError(why)
    return request


def _why_impossible(request: TomoRequest) -> str | None:
    if request.mode == "step":
        angles = np.concatenate(request.rounds)
        return request.axis.why_out_of_reach(float(angles.min()), float(angles.max()))
    most = max(len(part) for part in request.rounds)
    if most > request.trigger_box.most_triggers:
        return (
            f"a turn of {most} angles is longer than {request.trigger_box.name} captures at once, "
            f"{request.trigger_box.most_triggers}: take more rounds"
        )
    problems = (request.sweep(part).why_impossible(request.axis) for part in request.rounds)
    return next(filter(None, problems), None)


def _rounds(rounds: Any, num: int, order: str, mode: str) -> int:
    parts = check_count(rounds, "rounds", most=num)
    if order == "interlaced" and (parts < 2 or num % parts):
        raise PlanRequestError(
            f"order='interlaced' needs two rounds or more that divide num: rounds is {parts} and num is {num}, "
            f"but {num / parts:.4g} angles a round cannot be; take num={math.ceil(num / max(parts, 2)) * max(parts, 2)} and "
            f"rounds={max(parts, 2)}"
        )
    if mode == "fly" and order == "golden":
        raise PlanRequestError(
            "order='golden' jumps from angle to angle, which a turn at constant velocity cannot: take mode='step'"
        )
    if mode == "fly" and num // parts < 2:
        raise PlanRequestError(f"a turn needs two angles at least, but {num} angles in {parts} rounds leave {num // parts}")
    return parts


def _rate(mode: str, rate_hz: Any, exposure_s: Any, camera: RadiographCamera) -> float:
    """Exposures a second: as asked for, or as fast as the exposures of a step scan allow."""
    if mode == "fly":
        if rate_hz is None:
            raise PlanRequestError("rate_hz: mode='fly' needs the exposures a second: pass rate_hz=...")
        return positive(rate_hz, "rate_hz", "exposures a second")
    if rate_hz is not None:
        raise PlanRequestError(
            "rate_hz is for mode='fly': with mode='step' the camera takes each frame when the angle is reached"
        )
    if exposure_s is None:
        raise PlanRequestError("exposure_s: mode='step' needs the exposure of each frame in s: pass exposure_s=...")
    return min(1.0 / (positive(exposure_s, "exposure_s", "seconds") + camera.dead_time_s), camera.max_rate_hz)


def _angle(value: Any, parameter: str) -> float:
    if not is_number(value) or abs(value) > _FARTHEST_DEG:
        raise PlanRequestError(
            f"{parameter} must be an angle in degrees, from -{_FARTHEST_DEG:g} to {_FARTHEST_DEG:g}, not {value!r}"
        )
    return float(value)


def _span(value: Any) -> float:
    span = _angle(value, "span_deg")
    if not 0 < abs(span) <= 360:
        raise PlanRequestError(
            f"span_deg must be up to 360 degrees, such as 180, and not 0, not {value!r}: angles must not repeat"
        )
    if any(abs(abs(span) - turn) < 1e-3 * turn for turn in _TURNS_RAD):
        raise PlanRequestError(
            f"span_deg is {span:g}, which looks like radians: angles are in degrees, such as {math.degrees(span):.4g}"
        )
    return span
