"""Duration of a move and the stage's position during it: pure kinematics, no clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

_INSTANT_S = 1e-9  # a shorter ramp counts as none


@dataclass(frozen=True)
class Travel:
    """A move from rest to rest with a trapezoidal velocity profile.

    Parameters
    ----------
    start, goal : float
        Positions in mm.
    velocity : float
        Cruising speed in mm/s, positive.
    ramp_s : float
        Seconds to reach the cruising speed; 0 for an instant start.
    """

    start: float
    goal: float
    velocity: float
    ramp_s: float

    def __post_init__(self) -> None:
        if not self.velocity > 0:
            raise ValueError(f"a stage needs a velocity above 0 mm/s, not {self.velocity!r}")
        if not self.ramp_s >= 0:
            raise ValueError(f"a stage needs an acceleration time of 0 s or more, not {self.ramp_s!r}")

    @property
    def _effective_ramp_s(self) -> float:
        """Seconds of acceleration: less than the full ramp if the move is too short for it."""
        if self.ramp_s < _INSTANT_S:
            return 0.0
        return min(self.ramp_s, math.sqrt(abs(self.goal - self.start) * self.ramp_s / self.velocity))

    @property
    def duration(self) -> float:
        """Seconds from start to standstill."""
        distance = abs(self.goal - self.start)
        ramp = self._effective_ramp_s
        if 0 < ramp < self.ramp_s:
            return 2 * ramp
        return distance / self.velocity + ramp

    def position(self, elapsed_s: float) -> float:
        """Return the position in mm after a time in s."""
        duration = self.duration
        if elapsed_s >= duration:
            return self.goal
        if elapsed_s <= 0:
            return self.start
        ramp = self._effective_ramp_s
        if elapsed_s > duration / 2:
            return self.goal - self._ramped(duration - elapsed_s, ramp)
        return self.start + self._ramped(elapsed_s, ramp)

    def _ramped(self, seconds: float, ramp: float) -> float:
        """Return the signed distance in mm covered by the first seconds of the move."""
        speed = math.copysign(self.velocity, self.goal - self.start)
        if seconds <= ramp:
            return speed * seconds * (seconds / self.ramp_s) / 2 if ramp else 0.0
        return speed * (seconds - ramp / 2)


def legs(position: float, goal: float, approach: float) -> list[float]:
    """List the goals of a move that ends in the direction of `approach`.

    Parameters
    ----------
    position, goal : float
        Present and requested position of the stage, in mm.
    approach : float
        The motor record's backlash distance (BDST) in mm: moves against its sign overshoot by this much and come back, so
        that play in the drive is always taken up from the same side. 0: moves go straight.
    """
    if approach and (goal - position) * approach < 0:
        return [goal - approach, goal]
    return [goal]


def follow(stage: float, drive: float, play: float) -> float:
    """Return the final position of a stage whose drive has some play.

    Parameters
    ----------
    stage, drive : float
        Position of the stage before, and of its drive now, in mm.
    play : float
        Lost motion in mm: the drive pushes the stage when it moves up, and lets it lag by this much when it moves down.
    """
    return min(max(stage, drive), drive + play)
