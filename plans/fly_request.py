"""Checks what a fly scan is asked to do, before anything moves and before a run is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from beamline.frames.values import LineTriggers
from beamline.motion.lines import Axis, Line, LineScan, why_impossible
from plans.frame_request import check_rate, check_shape, positive
from plans.protocols import BeamShutter, FrameDetector, LineStage, LineTriggerBox
from plans.recipes import check_recipes
from plans.refusal import PlanRequestError
from plans.request import check_count, check_device, check_flag, is_number
from plans.sampling import exposure_for_dose, places_at_most_apart, step_for_overlap

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
            gate=self.x.dial_um(line.gate_um),
            width=line.width_um,
            num=scan.x_um[2],
            total=scan.num_points,
            exposure_s=scan.exposure_s,
            period_s=scan.period_s,
            offsets=(self.y.offset_um, self.x.offset_um),
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
    overlap: Any,
    dose_um2: Any,
    flux: Any,
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
    check_fly_devices(pixel_detector, sample_stage, trigger_box, shutter, "fly_scan")
    check_flag(snake, "snake")
    if overlap is not None:
        step_um = check_overlap(overlap, pixel_detector)
        y_um, x_um = (_spaced(ends, name, step_um) for ends, name in ((y_um, "y_um"), (x_um, "x_um")))
    lines = check_span(y_um, "y_um", least=1, most=1_000_000)
    points = check_span(x_um, "x_um", least=2, most=trigger_box.most_triggers)
    if dose_um2 is None:
        if rate_hz is None:
            raise PlanRequestError(
                "rate_hz: fly_scan needs the exposures a second, or a dose: pass rate_hz=... or dose_um2=... and flux=..."
            )
    else:
        if rate_hz is not None or exposure_s is not None:
            raise PlanRequestError("dose_um2 decides rate_hz and exposure_s: give either the dose, or those")
        exposure_s = _exposure_for_dose(dose_um2, flux, lines, points, pixel_detector)
        rate_hz = min(
            1.0 / (exposure_s + pixel_detector.dead_time_s), pixel_detector.max_rate_hz
        )  # whatever rounding makes of it
    rate, exposure = check_rate(pixel_detector, rate_hz, exposure_s)
    shape = check_shape(pixel_detector)
    y, x = ready_axes(sample_stage)
    scan = LineScan(lines, points, rate, exposure, x.acceleration_s, snake)
    why = why_impossible(scan, y, x)
    if why is not None:
        raise PlanRequestError(why)
    return FlyScanRequest(pixel_detector, sample_stage, trigger_box, shutter, scan, y, x, shape, check_recipes(recipes))


def check_fly_devices(pixel_detector: Any, sample_stage: Any, trigger_box: Any, shutter: Any, plan: str) -> None:
    """Raise unless these are the devices that a scan with triggered frames needs."""
    check_device(pixel_detector, FrameDetector, "pixel_detector")
    check_device(sample_stage, LineStage, "sample_stage")
    if trigger_box is None:
        raise PlanRequestError(f"trigger_box: {plan} needs the box that triggers the detector: pass trigger_box=...")
    check_device(trigger_box, LineTriggerBox, "trigger_box")
    if shutter is not None:
        check_device(shutter, BeamShutter, "shutter")


def ready_axes(sample_stage: LineStage) -> tuple[Axis, Axis]:
    """Return y and x of a stage that can move."""
    if why := sample_stage.why_not_ready():
        raise PlanRequestError(f"{sample_stage.name} is not ready: {why}")
    return sample_stage.axes()


def check_overlap(overlap: Any, pixel_detector: FrameDetector) -> float:
    """Return the step in um at which neighbours overlap by so much."""
    if not is_number(overlap) or not 0 <= overlap < 1:
        raise PlanRequestError(f"overlap must be a part of the beam's diameter, from 0 to below 1, such as 0.7, not {overlap!r}")
    optics = pixel_detector.optics
    if optics.zone_plate is None:
        raise PlanRequestError(
            "overlap: the size of the beam is not known, since [zone_plate] diameter_um is 0 in the configuration: "
            "configure the zone plate, or say how many points to take instead"
        )
    return step_for_overlap(float(overlap), optics.zone_plate.beam_um(optics.energy_kev))


def check_ends(value: Any, parameter: str) -> tuple[float, float]:
    """Return first and last position of a range in um."""
    example = f"{parameter} must be (first, last), in um, such as (-2, 2)"
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence) or len(value) != 2:
        raise PlanRequestError(f"{example}, not {value!r}")
    first, last = value
    _check_position(first, parameter, example)
    _check_position(last, parameter, example)
    return float(first), float(last)


def _spaced(ends: Any, parameter: str, step_um: float) -> tuple[float, float, int]:
    if isinstance(ends, Sequence) and len(ends) == 3:
        raise PlanRequestError(f"{parameter}: an overlap decides how many positions there are: leave out the number {ends[2]!r}")
    first, last = check_ends(ends, parameter)
    return first, last, places_at_most_apart(first, last, step_um)


def _exposure_for_dose(
    dose_um2: Any, flux: Any, lines: tuple[float, float, int], points: tuple[float, float, int], detector: FrameDetector
) -> float:
    """Return the exposure in s by which the scanned area gets a dose."""
    dose = positive(dose_um2, "dose_um2", "incident photons per square micrometre")
    if flux is None:
        raise PlanRequestError("flux: a dose needs the photons per second in the beam: pass flux=...")
    photons = positive(flux, "flux", "photons per second")
    if lines[2] == 1:
        raise PlanRequestError("dose_um2: a single line has no area: give rate_hz and exposure_s")
    steps = (abs(lines[1] - lines[0]) / (lines[2] - 1), abs(points[1] - points[0]) / (points[2] - 1))
    exposure = exposure_for_dose(dose, photons, steps)
    shortest = 1.0 / detector.max_rate_hz - detector.dead_time_s
    if exposure < shortest:
        raise PlanRequestError(
            f"dose_um2 is {dose:g}, which is {exposure:.4g} s of {photons:g} photons/s at each point, but the shortest exposure "
            f"of {detector.name} is {shortest:.4g} s ([pixel_detector] max_rate_hz), which is {dose * shortest / exposure:.4g} "
            "photons/um^2: attenuate the beam, or take points further apart"
        )
    return exposure


def check_span(value: Any, parameter: str, *, least: int, most: int) -> tuple[float, float, int]:
    """Return first and last position of a range in um, and how many there are."""
    example = f"{parameter} must be (first, last, number), in um, such as (-2, 2, 41)"
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence) or len(value) != 3:
        raise PlanRequestError(f"{example}, not {value!r}")
    first, last, num = value
    _check_position(first, parameter, example)
    _check_position(last, parameter, example)
    number = check_count(num, f"the number in {parameter}", least=least, most=most)
    if (first == last) != (number == 1):
        raise PlanRequestError(
            f"{parameter}: {number} {'position' if number == 1 else 'positions'} from {first:g} to {last:g} um: "
            "one position begins and ends at the same place, several don't"
        )
    return float(first), float(last), number


def _check_position(value: Any, parameter: str, example: str) -> None:
    if not is_number(value):
        raise PlanRequestError(f"{example}; {value!r} is not a finite number")
    if abs(value) > FARTHEST_UM:
        raise PlanRequestError(f"{parameter}: {value!r} um is {abs(value) / 1e6:g} m away: positions are in um")
