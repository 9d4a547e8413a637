"""Checks what a fly scan is asked to do, before anything moves and before a run is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from beamline.frames.values import LineTriggers
from beamline.motion.lines import Axis, Line, LineScan, why_impossible
from plans.frame_request import check_rate, check_shape
from plans.protocols import BeamShutter, FrameDetector, LineStage, LineTriggerBox
from plans.recipes import check_recipes
from plans.refusal import PlanRequestError
from plans.request import check_count, check_device, is_number

FARTHEST_UM = 1e7
"""A position beyond this, 10 m, is in a wrong unit."""


@dataclass(frozen=True)
class FlyScanRequest:
    """A fly scan that has been checked.

    Parameters
    ----------
    detector : FrameDetector
    stage : LineStage
    trigger_box : LineTriggerBox
    shutter : BeamShutter, optional
    scan : LineScan
    y, x : Axis
        As the motor records were when it was checked.
    shape : pair of int
        Rows and columns of a frame.
    recipes : list of dict
        Which reconstructions are asked for; empty where the worker is to choose.
    """

    detector: FrameDetector
    stage: LineStage
    trigger_box: LineTriggerBox
    shutter: BeamShutter | None
    scan: LineScan
    y: Axis
    x: Axis
    shape: tuple[int, int]
    recipes: list[dict[str, Any]]

    def triggers(self, line: Line) -> LineTriggers:
        """Return what the trigger box is to do within a line."""
        scan = self.scan
        return LineTriggers(
            gate_um=self.x.dial_um(line.gate_um),
            width_um=line.width_um,
            num=scan.x_um[2],
            total=scan.num_points,
            exposure_s=scan.exposure_s,
            period_s=scan.period_s,
            offsets_um=(self.y.offset_um, self.x.offset_um),
            signs=(self.y.sign, self.x.sign),
        )


def check_fly_scan(
    pixel_detector: Any,
    sample_stage: Any,
    *,
    y_um: Any,
    x_um: Any,
    rate_hz: Any,
    exposure_s: Any,
    snake: Any,
    trigger_box: Any,
    shutter: Any,
    recipes: Any,
) -> FlyScanRequest:
    """Check all that a fly scan is asked for; see `plans.fly.fly_scan`.

    Raises
    ------
    PlanRequestError
        If it cannot be done, and why.
    """
    check_device(pixel_detector, FrameDetector, "pixel_detector")
    check_device(sample_stage, LineStage, "sample_stage")
    if trigger_box is None:
        raise PlanRequestError("trigger_box: fly_scan needs the box that triggers the detector: pass trigger_box=...")
    check_device(trigger_box, LineTriggerBox, "trigger_box")
    if shutter is not None:
        check_device(shutter, BeamShutter, "shutter")
    if not isinstance(snake, bool):
        raise PlanRequestError(f"snake must be True or False, not {snake!r}")
    lines = _span(y_um, "y_um", least=1, most=1_000_000)
    points = _span(x_um, "x_um", least=2, most=trigger_box.most_triggers)
    rate, exposure = check_rate(pixel_detector, rate_hz, exposure_s)
    shape = check_shape(pixel_detector)
    if why := sample_stage.why_not_ready():
        raise PlanRequestError(f"{sample_stage.name} is not ready: {why}")
    y, x = sample_stage.axes()
    scan = LineScan(lines, points, rate, exposure, x.acceleration_s, snake)
    why = why_impossible(scan, y, x)
    if why is not None:
        raise PlanRequestError(why)
    return FlyScanRequest(pixel_detector, sample_stage, trigger_box, shutter, scan, y, x, shape, check_recipes(recipes))


def _span(value: Any, parameter: str, *, least: int, most: int) -> tuple[float, float, int]:
    example = f"{parameter} must be (first, last, number), in um, such as (-2, 2, 41)"
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence) or len(value) != 3:
        raise PlanRequestError(f"{example}, not {value!r}")
    first, last, num = value
    for end in (first, last):
        if isinstance(end, (bool, str)) or not is_number(end):
            raise PlanRequestError(f"{example}; {end!r} is no finite number")
        if abs(end) > FARTHEST_UM:
            raise PlanRequestError(f"{parameter}: {end!r} um is {abs(end) / 1e6:g} m away: positions are in um")
    number = check_count(num, f"the number in {parameter}", least=least, most=most)
    if (first == last) != (number == 1):
        raise PlanRequestError(
            f"{parameter}: {number} {'position' if number == 1 else 'positions'} from {first:g} to {last:g} um: "
            "one position begins and ends at the same place, several don't"
        )
    return float(first), float(last), number
