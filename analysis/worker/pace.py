"""When estimates are made before the final one: by the clock during the run, or at the points of an earlier reconstruction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

FIRST_UPDATE = 64  # rows of the first estimate, of a long run
FIRST_PART = 8  # of shorter runs the first estimate has one row in so many
MIN_INTERVAL_S = 0.3  # between the starts of two estimates
MAX_SHARE = 0.6  # fraction of the time spent on estimates rather than on waiting for data
MAX_SHARE_SLOW = 0.95  # the same for slow methods, which have a core of their own and give way to everything else
NEW_FRACTION = 0.01  # fraction of all rows that must be new: a scan of n rows stores at most about 100 ln(n) estimates


class Pace(Protocol):
    """Decides when estimates are made."""

    @property
    def waits_for_end(self) -> bool:
        """Whether rows are taken only when the run is over, so that nothing depends on the order of its documents."""

    @property
    def segments(self) -> int:
        """Reconstructions that begin from scratch; the last one makes the final estimate."""

    def next_point(self, segment: int, used: int) -> int | None:
        """Number of rows, above `used`, at which to check whether an estimate is due; None: after each batch."""

    def due(self, segment: int, used: int, *, ended: bool) -> bool:
        """Whether to make an estimate of `used` rows now; `ended`: there are no more rows."""

    def made(self, segment: int, used: int, elapsed_s: float) -> None:
        """Note that an estimate of `used` rows was made and took `elapsed_s`."""


class Clock:
    """Makes estimates as often as their cost allows, and only for new data.

    Two reconstructions of the same data make their estimates at different points; the points are stored.

    Parameters
    ----------
    expected : int or None
        Rows that the run should have.
    slow : bool
        Whether the method is a slow one: it may spend more of the time on estimates, and when the run has ended it makes one
        estimate of all rows before the final one, which takes some time.
    """

    waits_for_end = False
    segments = 1

    def __init__(self, expected: int | None, *, slow: bool = False) -> None:
        self._first = min(FIRST_UPDATE, -(-(expected or FIRST_UPDATE * FIRST_PART) // FIRST_PART))
        self._slow = slow
        self._max_share = MAX_SHARE_SLOW if slow else MAX_SHARE
        self._last_count = 0
        self._not_before = 0.0

    def next_point(self, segment: int, used: int) -> int | None:
        """Check after each batch."""
        return None

    def due(self, segment: int, used: int, *, ended: bool) -> bool:
        """Whether there are enough new rows, and enough time has passed."""
        if ended:
            return self._slow and 0 < self._last_count < used
        if self._last_count == 0:
            return used >= self._first
        return used - self._last_count >= max(1, NEW_FRACTION * used) and time.monotonic() >= self._not_before

    def made(self, segment: int, used: int, elapsed_s: float) -> None:
        """The next estimate is due when its share of the time has passed since the start of this one."""
        self._last_count = used
        self._not_before = time.monotonic() - elapsed_s + max(MIN_INTERVAL_S, elapsed_s / self._max_share)


class Points:
    """Makes estimates at given points, such as those of an earlier reconstruction.

    Parameters
    ----------
    segments : sequence of sequence of int
        Numbers of used rows, in order; each segment begins from scratch, as after a restart.
    """

    waits_for_end = True

    def __init__(self, segments: Sequence[Sequence[int]] = ()) -> None:
        self._points = [sorted(set(points)) for points in segments] or [[]]

    @property
    def segments(self) -> int:
        """Reconstructions that begin from scratch."""
        return len(self._points)

    def next_point(self, segment: int, used: int) -> int | None:
        """The next point of this segment."""
        return next((point for point in self._points[segment] if point > used), None)

    def due(self, segment: int, used: int, *, ended: bool) -> bool:
        """Whether this is such a point."""
        return not ended and used in self._points[segment]

    def made(self, segment: int, used: int, elapsed_s: float) -> None:
        """Do nothing."""


class Never:
    """Makes no estimate except the final one, of rows taken as they arrive."""

    waits_for_end = False
    segments = 1

    def next_point(self, segment: int, used: int) -> int | None:
        """There is none."""
        return None

    def due(self, segment: int, used: int, *, ended: bool) -> bool:
        """Never."""
        return False

    def made(self, segment: int, used: int, elapsed_s: float) -> None:
        """Never called."""
