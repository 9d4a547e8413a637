"""The lines of a fly scan as frozen values: where each begins and ends, how fast, how long. Arithmetic alone, no motors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from beamline.motion.units import LengthUnit, why_wrong_unit

SETTLE_S = 0.05
"""How long an axis runs at its velocity before the first trigger of a line, and after the last, in s."""


@dataclass(frozen=True)
class Line:
    """One line of a fly scan, along x.

    Parameters
    ----------
    number : int
        From 0.
    y_um : float
        Where it lies.
    start_um, stop_um : float
        Where x stands still before and after it.
    gate_um : float
        Where x is when the first exposure begins.
    width_um : float
        Length from there within which triggers are given.
    """

    number: int
    y_um: float
    start_um: float
    stop_um: float
    gate_um: float
    width_um: float


@dataclass(frozen=True)
class LineScan:
    """Lines along x at constant velocity, with one exposure at each point.

    Parameters
    ----------
    y_um, x_um : (float, float, int)
        First and last position and their number: of the lines, and of the points in each. A point is where the sample
        is in the middle of its exposure.
    rate_hz : float
        Exposures a second.
    exposure_s : float
        Length of each.
    acceleration_s : float
        How long x takes to reach any velocity.
    snake : bool
        Whether every other line runs backwards.

    Notes
    -----
    Speeding up takes half the distance that the same time at full velocity does. As in ophyd-async's `FlyMotorInfo`, x
    starts by that much before the line; it also runs for `SETTLE_S` at full velocity before the first exposure.
    """

    y_um: tuple[float, float, int]
    x_um: tuple[float, float, int]
    rate_hz: float
    exposure_s: float
    acceleration_s: float
    snake: bool = True

    @property
    def num_lines(self) -> int:
        """How many lines there are."""
        return self.y_um[2]

    @property
    def num_points(self) -> int:
        """How many exposures all lines have together."""
        return self.y_um[2] * self.x_um[2]

    @property
    def period_s(self) -> float:
        """Time from one exposure to the next, in s."""
        return 1.0 / self.rate_hz

    @property
    def step_um(self) -> float:
        """Distance of neighbouring points in a line, in um."""
        first, last, num = self.x_um
        return abs(last - first) / (num - 1)

    @property
    def velocity_um_s(self) -> float:
        """Velocity within lines, in um/s."""
        return self.step_um * self.rate_hz

    @property
    def run_up_um(self) -> float:
        """Distance that x needs before the first exposure of a line, and after the last, in um."""
        return self.velocity_um_s * (self.acceleration_s / 2 + SETTLE_S)

    @property
    def x_range_um(self) -> tuple[float, float]:
        """Lowest and highest position of x in the whole scan, in um."""
        ends = [end for line in self.lines() for end in (line.start_um, line.stop_um)]
        return min(ends), max(ends)

    @property
    def line_s(self) -> float:
        """Time from standstill to standstill of one line, in s."""
        line = next(self.lines())
        return abs(line.stop_um - line.start_um) / self.velocity_um_s + self.acceleration_s

    def lines(self) -> Iterator[Line]:
        """Yield the lines in the order in which they are scanned."""
        first_y, last_y, num_lines = self.y_um
        first_x, last_x, num_points = self.x_um
        half_exposure_um = self.velocity_um_s * self.exposure_s / 2
        for number in range(num_lines):
            y_um = first_y + (last_y - first_y) * number / max(num_lines - 1, 1)
            backwards = self.snake and number % 2
            first, last = (last_x, first_x) if backwards else (first_x, last_x)
            forward = 1.0 if last > first else -1.0
            gate_um = first - forward * half_exposure_um
            yield Line(
                number,
                y_um,
                start_um=gate_um - forward * self.run_up_um,
                stop_um=last + forward * (half_exposure_um + self.run_up_um),
                gate_um=gate_um,
                # Longer than the points need: an axis that is a little fast must not lose the last ones.
                width_um=num_points * self.step_um + self.run_up_um / 2,
            )


@dataclass(frozen=True)
class Axis:
    """What a scan must know of one axis before it moves.

    Parameters
    ----------
    name : str
        Its motor record.
    units : str
        Its engineering units (EGU).
    um_per_unit : float
        Micrometres in one of the units that the configuration says it has.
    expected_units : {"mm", "um"}
        Those units.
    low_um, high_um : float
        Soft limits; both the same: none.
    max_velocity_um_s, min_velocity_um_s : float
        VMAX and VBAS; 0: none.
    velocity_um_s : float
        As it is set.
    acceleration_s : float
        Time to reach any velocity (ACCL).
    offset_um, sign : float
        What is added to the dial position, and by what it is multiplied before (1 or -1), to give the user's.
    """

    name: str
    units: str
    um_per_unit: float
    expected_units: LengthUnit
    low_um: float
    high_um: float
    max_velocity_um_s: float
    min_velocity_um_s: float
    velocity_um_s: float
    acceleration_s: float
    offset_um: float = 0.0
    sign: float = 1.0

    def dial_um(self, user_um: float) -> float:
        """Return the dial position of a position of the user, in um."""
        return (user_um - self.offset_um) * self.sign


def why_impossible(scan: LineScan, y: Axis, x: Axis) -> str | None:
    """Say why a stage cannot do a scan; None if it can.

    Parameters
    ----------
    scan : LineScan
    y, x : Axis
    """
    for axis in (y, x):
        if wrong := why_wrong_unit(axis.name, axis.units, axis.expected_units, "sample_stage"):
            return wrong
    velocity = scan.velocity_um_s
    if 0 < x.max_velocity_um_s < velocity:
        fastest_hz = x.max_velocity_um_s / scan.step_um
        return (
            f"{x.name} would have to move at {velocity:.6g} um/s ({scan.step_um:.4g} um at {scan.rate_hz:g} Hz), but may move at "
            f"{x.max_velocity_um_s:.6g} um/s at most ({x.name}.VMAX): lower rate_hz below {fastest_hz:.4g}, "
            "or take points closer together"
        )
    if velocity < x.min_velocity_um_s:
        return (
            f"{x.name} would have to move at {velocity:.6g} um/s, slower than it can ({x.min_velocity_um_s:.6g} um/s, "
            f"{x.name}.VBAS): raise rate_hz, or take points further apart"
        )
    y_range_um = min(scan.y_um[:2]), max(scan.y_um[:2])
    run_up = f", {scan.run_up_um:.4g} um of run-up included"
    return why_out_of_reach(y, *y_range_um) or why_out_of_reach(x, *scan.x_range_um, run_up)


def why_out_of_reach(axis: Axis, low_um: float, high_um: float, note: str = "") -> str | None:
    """Say that an axis may not move from `low_um` to `high_um`; None if it may. The note says what that includes."""
    if axis.low_um < axis.high_um and not (axis.low_um <= low_um and high_um <= axis.high_um):
        return (
            f"{axis.name} would have to move from {low_um:.6g} to {high_um:.6g} um{note}, beyond its soft limits "
            f"({axis.low_um:.6g} to {axis.high_um:.6g} um, {axis.name}.LLM and .HLM): move the scan, or widen the limits"
        )
    return None
