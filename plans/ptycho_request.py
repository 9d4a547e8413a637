"""Checks what a step scan for ptychography is asked to do, before anything moves and before a run is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from beamline.frames.values import LineTriggers
from beamline.motion.lines import Axis, why_out_of_reach
from beamline.motion.units import why_wrong_unit
from plans.fly_request import check_ends, check_fly_devices, check_overlap, ready_axes
from plans.frame_request import check_shape, positive
from plans.protocols import BeamShutter, FrameDetector, LineStage, LineTriggerBox
from plans.ptycho_patterns import PATTERNS, scan_places
from plans.recipes import check_recipes
from plans.refusal import PlanRequestError
from plans.request import check_choice, check_count
from plans.sampling import places_at_most_apart

MOST_PLACES = 1_000_000


@dataclass(frozen=True, eq=False)
class PtychoScanRequest:
    """A step scan that has been checked.

    Parameters
    ----------
    detector : FrameDetector
    stage : LineStage
    trigger_box : LineTriggerBox
    shutter : BeamShutter, optional
    places_um : array, shape (N, 2), float64
        y and x in the order in which they are visited.
    y_um, x_um : tuple of (float, float, int)
        Lowest and highest position, and how many steps apart.
    exposure_s : float
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
    places_um: np.ndarray
    y_um: tuple[float, float, int]
    x_um: tuple[float, float, int]
    exposure_s: float
    y: Axis
    x: Axis
    shape: tuple[int, int]
    recipes: list[dict[str, Any]]

    @property
    def period_s(self) -> float:
        """Shortest time from one exposure to the next, in s."""
        return self.exposure_s + self.detector.dead_time_s

    def trigger(self) -> LineTriggers:
        """Return what the trigger box is to do at each place."""
        return LineTriggers(
            gate=None,
            width=0.0,
            num=1,
            total=len(self.places_um),
            exposure_s=self.exposure_s,
            period_s=self.period_s,
            offsets=(self.y.offset_um, self.x.offset_um),
            signs=(self.y.sign, self.x.sign),
        )


def check_ptycho_scan(
    pixel_detector: Any,
    sample_stage: Any,
    *,
    y_um: Any,
    x_um: Any,
    exposure_s: Any,
    step_um: Any,
    overlap: Any,
    pattern: Any,
    seed: Any,
    trigger_box: Any,
    shutter: Any,
    recipes: Any,
) -> PtychoScanRequest:
    """Check all that a step scan is asked for; see `plans.ptycho.ptycho_scan`.

    Raises
    ------
    PlanRequestError
        If it cannot be done, and why.
    """
    check_fly_devices(pixel_detector, sample_stage, trigger_box, shutter, "ptycho_scan")
    check_choice(pattern, PATTERNS, "pattern")
    check_count(seed, "seed", least=0, most=2**63)
    exposure = positive(exposure_s, "exposure_s", "seconds")
    if exposure + pixel_detector.dead_time_s < 1 / pixel_detector.max_rate_hz * (1 - 1e-9):
        raise PlanRequestError(
            f"exposure_s is {exposure:g} s, shorter than {pixel_detector.name} can expose: it takes "
            f"{pixel_detector.max_rate_hz:g} frames a second at most ([pixel_detector] max_rate_hz)"
        )
    if (step_um is None) == (overlap is None):
        raise PlanRequestError(
            "give either step_um, the distance of neighbouring places, or overlap, the part of the beam that they share"
        )
    step = positive(step_um, "step_um", "um") if overlap is None else check_overlap(overlap, pixel_detector)
    rows, columns = (_range(value, name) for value, name in ((y_um, "y_um"), (x_um, "x_um")))
    number = (rows[1] - rows[0]) * (columns[1] - columns[0]) / step**2
    if number > MOST_PLACES:
        raise PlanRequestError(f"{number:.3g} places {step:g} um apart are more than {MOST_PLACES}: take a larger step")
    places = scan_places(pattern, rows, columns, step, seed)
    shape = check_shape(pixel_detector)
    y, x = ready_axes(sample_stage)
    for axis, low, high in ((y, *rows), (x, *columns)):
        why = why_wrong_unit(axis.name, axis.units, axis.expected_units, "sample_stage") or why_out_of_reach(axis, low, high)
        if why:
            raise PlanRequestError(why)
    return PtychoScanRequest(
        detector=pixel_detector,
        stage=sample_stage,
        trigger_box=trigger_box,
        shutter=shutter,
        places_um=places,
        y_um=(*rows, places_at_most_apart(*rows, step)),
        x_um=(*columns, places_at_most_apart(*columns, step)),
        exposure_s=exposure,
        y=y,
        x=x,
        shape=shape,
        recipes=check_recipes(recipes),
    )


def _range(value: Any, parameter: str) -> tuple[float, float]:
    first, last = check_ends(value, parameter)
    if first == last:
        raise PlanRequestError(f"{parameter} begins and ends at {first:g} um: a scan needs an area")
    return min(first, last), max(first, last)
