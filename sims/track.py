"""The position of a drive at any recent time, as an encoder records it continuously."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from sims.motion import Travel

_KEPT = 512  # pieces of motion; a stage makes a few per line


@dataclass(frozen=True)
class _Piece:
    """Motion from a certain time on: along a travel, or at rest.

    Parameters
    ----------
    since : float
        Clock time in s.
    travel : Travel
    elapsed_s : float
        Time of the travel that had elapsed by then.
    pace : float
        Seconds of the travel per second of the clock; 0 for a drive at rest.
    """

    since: float
    travel: Travel
    elapsed_s: float
    pace: float

    def position(self, time: float) -> float:
        """Return the position in mm at a clock time at or after `since`."""
        return self.travel.position(self.elapsed_s + (time - self.since) * self.pace)


class Track:
    """The recent motion of one drive.

    Parameters
    ----------
    position : float
        Its initial position, mm.
    """

    def __init__(self, position: float = 0.0):
        self._pieces: deque[_Piece] = deque(maxlen=_KEPT)
        self.rest(-math.inf, position)

    def rest(self, time: float, position: float) -> None:
        """Note that the drive is at rest from a clock time on."""
        self._pieces.append(_Piece(time, Travel(position, position, 1.0, 0.0), 0.0, 0.0))

    def go(self, time: float, travel: Travel, elapsed_s: float, pace: float) -> None:
        """Note that it moves from a clock time on, `elapsed_s` into the travel and `pace` times as fast as the clock."""
        self._pieces.append(_Piece(time, travel, elapsed_s, pace))

    def position(self, time: float) -> float:
        """Return the position at a clock time, in mm."""
        index = bisect_right(self._pieces, time, key=lambda piece: piece.since) - 1
        piece = self._pieces[max(index, 0)]
        return piece.position(max(time, piece.since)) if math.isfinite(piece.since) else piece.travel.start

    def crossing(self, position: float, begin: float, end: float) -> float | None:
        """Return when the drive first left one side of a position for the other between two clock times.

        A drive that was at the position crosses it when it leaves; a drive that only arrives there does not.
        """
        for start, stop in self._spans(begin, end):
            before, after = self.position(start) - position, self.position(stop) - position
            if before * after < 0 or (before == 0 and after != 0):
                return self._bisect(position, start, stop)
        return None

    def _spans(self, begin: float, end: float) -> Iterator[tuple[float, float]]:
        """Yield the parts of a time span within which the drive moves in one direction."""
        edges = [piece.since for piece in self._pieces if begin < piece.since < end]
        yield from zip([begin, *edges], [*edges, end], strict=True)

    def _bisect(self, position: float, start: float, stop: float) -> float:
        side = math.copysign(1.0, self.position(stop) - position)
        for _ in range(60):
            middle = (start + stop) / 2
            if (self.position(middle) - position) * side > 0:
                stop = middle
            else:
                start = middle
        return stop
