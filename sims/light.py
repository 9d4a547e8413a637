"""Whether there is light on the mask, and for which fraction of an exposure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """A time from which the light is measured."""

    time: float
    lit_s: float
    changes: int


class Light:
    """Adds up the time with both shutters open and beam in the ring.

    Parameters
    ----------
    clock : callable
        Returns the present time in s.
    """

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self._conditions = {"shutter": False, "blade": True, "beam": True}
        self._since = clock()
        self._lit_s = 0.0
        self._changes = 0

    @property
    def on(self) -> bool:
        """Whether there is light now."""
        return all(self._conditions.values())

    @property
    def beam(self) -> bool:
        """Whether the ring stores beam."""
        return self._conditions["beam"]

    def set(self, **conditions: bool) -> None:
        """Note a change of `shutter`, `blade` or `beam`: a shutter opened or closed, or beam was lost or stored."""
        now = self._clock()
        if self.on:
            self._lit_s += now - self._since
        self._since = now
        self._changes += 1
        self._conditions.update(conditions)

    def mark(self) -> Mark:
        """Start to measure."""
        now = self._clock()
        return Mark(now, self._total(now), self._changes)

    def fraction_since(self, mark: Mark) -> float:
        """Return the fraction of the time since the mark with light, 0 to 1.

        Without a change in between it is exactly 0 or 1, so that the counts of an undisturbed exposure do not depend on how
        precisely a busy computer kept the time.
        """
        if mark.changes == self._changes:
            return float(self.on)
        now = self._clock()
        passed = now - mark.time
        return min(1.0, (self._total(now) - mark.lit_s) / passed) if passed > 0 else float(self.on)

    def _total(self, now: float) -> float:
        return self._lit_s + (now - self._since if self.on else 0.0)
