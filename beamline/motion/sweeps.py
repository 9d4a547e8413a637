"""Sweeps of a rotation as frozen values: where each begins and ends, how fast, how long. Arithmetic alone, no motors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from beamline.motion.lines import SETTLE_S


@dataclass(frozen=True)
class RotationAxis:
    """What a scan must know of a rotation before it turns.

    Parameters
    ----------
    name : str
        Its motor record.
    low_deg, high_deg : float
        Soft limits; both the same: none.
    max_velocity_deg_s, min_velocity_deg_s : float
        VMAX and VBAS; 0: none.
    velocity_deg_s : float
        As it is set.
    acceleration_s : float
        Time to reach any velocity (ACCL).
    offset_deg, sign : float
        What is added to the dial position, and by what it is multiplied before (1 or -1), to give the user's.
    """

    name: str
    low_deg: float
    high_deg: float
    max_velocity_deg_s: float
    min_velocity_deg_s: float
    velocity_deg_s: float
    acceleration_s: float
    offset_deg: float = 0.0
    sign: float = 1.0

    def dial_deg(self, user_deg: float) -> float:
        """Return the dial position of a position of the user."""
        return (user_deg - self.offset_deg) * self.sign

    def why_out_of_reach(self, low_deg: float, high_deg: float) -> str | None:
        """Say that it may not turn from `low_deg` to `high_deg`; None if it may."""
        if self.low_deg < self.high_deg and not (self.low_deg <= low_deg and high_deg <= self.high_deg):
            return (
                f"{self.name} would have to turn from {low_deg:.6g} to {high_deg:.6g} degrees, beyond its soft limits "
                f"({self.low_deg:.6g} to {self.high_deg:.6g}, {self.name}.LLM and .HLM): choose other angles, or widen the limits"
            )
        return None


@dataclass(frozen=True)
class Sweep:
    """A turn at constant velocity, with an exposure around each of its angles.

    Parameters
    ----------
    angles_deg : sequence of float
        Equally spaced, two at least; they are passed in this order. Each is in the middle of its exposure.
    rate_hz : float
        Exposures a second.
    exposure_s : float
        Length of each.
    acceleration_s : float
        How long the rotation takes to reach any velocity.
    """

    angles_deg: Sequence[float]
    rate_hz: float
    exposure_s: float
    acceleration_s: float

    @property
    def step_deg(self) -> float:
        """From one angle to the next."""
        return (self.angles_deg[-1] - self.angles_deg[0]) / (len(self.angles_deg) - 1)

    @property
    def velocity_deg_s(self) -> float:
        """While it exposes; always positive."""
        return abs(self.step_deg) * self.rate_hz

    @property
    def gate_deg(self) -> float:
        """Where the first exposure begins."""
        return self.angles_deg[0] - self.step_deg * self.rate_hz * self.exposure_s / 2

    @property
    def start_deg(self) -> float:
        """Where it stands before."""
        return self.gate_deg - self._run_up_deg

    @property
    def stop_deg(self) -> float:
        """Where it comes to a standstill after the last exposure."""
        return self.angles_deg[-1] + self.step_deg * self.rate_hz * self.exposure_s / 2 + self._run_up_deg

    @property
    def width_deg(self) -> float:
        """From the gate on, within which triggers are given: longer than the angles need, should it turn a little fast."""
        return len(self.angles_deg) * abs(self.step_deg) + abs(self._run_up_deg) / 2

    @property
    def duration_s(self) -> float:
        """From standstill to standstill."""
        return abs(self.stop_deg - self.start_deg) / self.velocity_deg_s + self.acceleration_s

    @property
    def _run_up_deg(self) -> float:
        """Speeding up takes half the way that the same time at full velocity does; then it settles."""
        return self.step_deg * self.rate_hz * (self.acceleration_s / 2 + SETTLE_S)

    def why_impossible(self, axis: RotationAxis) -> str | None:
        """Say why a rotation cannot do this; None if it can."""
        velocity = self.velocity_deg_s
        if 0 < axis.max_velocity_deg_s < velocity:
            return (
                f"{axis.name} would have to turn at {velocity:.6g} degrees/s ({abs(self.step_deg):.4g} degrees at "
                f"{self.rate_hz:g} Hz), but may turn at {axis.max_velocity_deg_s:.6g} at most ({axis.name}.VMAX): lower rate_hz "
                f"below {axis.max_velocity_deg_s / abs(self.step_deg):.4g}, or take more angles"
            )
        if velocity < axis.min_velocity_deg_s:
            return (
                f"{axis.name} would have to turn at {velocity:.6g} degrees/s, slower than it can ({axis.min_velocity_deg_s:.6g}, "
                f"{axis.name}.VBAS): raise rate_hz, or take fewer angles"
            )
        return axis.why_out_of_reach(*sorted((self.start_deg, self.stop_deg)))
