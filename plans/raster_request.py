"""Checks what a raster scan is asked to do, before anything moves and before a run is opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from bluesky.protocols import Readable

from beamline.motion.lines import SETTLE_S, Axis, why_out_of_reach
from beamline.motion.units import why_wrong_unit
from plans.fly_request import check_span, ready_axes
from plans.protocols import BeamShutter, BucketDetector, PencilBeam, RasterStage
from plans.recipes import check_recipes
from plans.refusal import PlanRequestError
from plans.request import check_choice, check_detectors, check_device, check_exposure, check_flag

MODES = ("step", "fly")
ASSUMED_READOUT_S = 0.2
"""Time for triggers and readings that is assumed of each point of a fly scan, beside its exposure.

It decides the velocity alone. Where readings take longer, a line has fewer points, farther apart; each still has the place that
was measured.
"""
_MOST_POINTS = 10_000


@dataclass(frozen=True)
class RasterRequest:
    """A raster scan that has been checked.

    Parameters
    ----------
    detectors : tuple
        What to trigger and read.
    buckets : tuple of BucketDetector
        Those of the detectors that give buckets.
    stage : RasterStage
    pinhole : PencilBeam, optional
    shutter : BeamShutter, optional
    y_um, x_um : (float, float, int)
        First and last position and their number: of the lines, and of the points in each.
    exposure : float
        Seconds.
    mode : {"step", "fly"}
    snake : bool
    x : Axis
        As the motor record was when it was checked.
    recipes : list of dict
        Which reconstructions are asked for; empty where the worker is to choose.
    """

    detectors: tuple[Readable, ...]
    buckets: tuple[BucketDetector, ...]
    stage: RasterStage
    pinhole: PencilBeam | None
    shutter: BeamShutter | None
    y_um: tuple[float, float, int]
    x_um: tuple[float, float, int]
    exposure: float
    mode: Literal["step", "fly"]
    snake: bool
    x: Axis
    recipes: list[dict[str, Any]]

    @property
    def num(self) -> int:
        """How many points there are."""
        return self.y_um[2] * self.x_um[2]

    @property
    def step_um(self) -> float:
        """Distance of neighbouring points in a line; of one point alone it is 0."""
        first, last, num = self.x_um
        return abs(last - first) / max(num - 1, 1)

    @property
    def velocity_um_s(self) -> float:
        """Velocity within lines in a fly scan."""
        return self.step_um / (self.exposure + ASSUMED_READOUT_S)

    def lines(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yield y and the points x of each line, in the order in which they are scanned."""
        points = np.linspace(*self.x_um)
        for number, y in enumerate(np.linspace(*self.y_um).tolist()):
            yield y, points[::-1] if self.snake and number % 2 else points

    def ends(self, points: np.ndarray) -> tuple[float, float]:
        """Where x stands before and after a line of a fly scan: half a step beyond the first and last point, and the run-up."""
        run_up = self.step_um / 2 + self.velocity_um_s * (self.x.acceleration_s / 2 + SETTLE_S)
        forward = 1.0 if points[-1] > points[0] else -1.0
        return float(points[0]) - forward * run_up, float(points[-1]) + forward * run_up

    @property
    def line_s(self) -> float:
        """Time of one line of a fly scan from standstill to standstill."""
        start, stop = self.ends(np.linspace(*self.x_um))
        return abs(stop - start) / self.velocity_um_s + self.x.acceleration_s


def check_raster_scan(
    detectors: Any,
    sample_stage: Any,
    *,
    y_um: Any,
    x_um: Any,
    exposure: Any,
    mode: Any,
    snake: Any,
    pinhole: Any,
    shutter: Any,
    recipes: Any,
) -> RasterRequest:
    """Check all that a raster scan is asked for; see `plans.raster.raster_scan`.

    Raises
    ------
    PlanRequestError
        If it cannot be done, and why.
    """
    check_device(sample_stage, RasterStage, "sample_stage")
    found, buckets = check_detectors(detectors, sample_stage=sample_stage, shutter=shutter)
    check_choice(mode, MODES, "mode")
    check_flag(snake, "snake")
    lines = check_span(y_um, "y_um", least=1, most=_MOST_POINTS)
    points = check_span(x_um, "x_um", least=2 if mode == "fly" else 1, most=_MOST_POINTS)
    seconds = check_exposure(exposure, buckets)
    for device, kind, name in ((pinhole, PencilBeam, "pinhole"), (shutter, BeamShutter, "shutter")):
        if device is not None:
            check_device(device, kind, name)
    y, x = ready_axes(sample_stage)
    request = RasterRequest(
        found, buckets, sample_stage, pinhole, shutter, lines, points, seconds, mode, snake, x, check_recipes(recipes)
    )
    if why := _why_impossible(request, y, x):
        raise PlanRequestError(why)
    return request


def _why_impossible(request: RasterRequest, y: Axis, x: Axis) -> str | None:
    for axis in (y, x):
        if wrong := why_wrong_unit(axis.name, axis.units, axis.expected_units, "sample_stage"):
            return wrong
    reach = list(request.x_um[:2])
    if request.mode == "fly":
        velocity = request.velocity_um_s
        if velocity < x.min_velocity_um_s or 0 < x.max_velocity_um_s < velocity:
            return (
                f"{x.name} would have to move at {velocity:.6g} um/s ({request.step_um:.4g} um in {request.exposure:g} s and "
                f"{ASSUMED_READOUT_S:g} s of readout), which its record does not allow ({x.name}.VBAS and .VMAX): change "
                "exposure or the distance of points"
            )
        reach = [end for _, points in request.lines() for end in request.ends(points)]
    return why_out_of_reach(y, min(request.y_um[:2]), max(request.y_um[:2])) or why_out_of_reach(x, min(reach), max(reach))
