"""Which frames of a scan form an exposure, and the positions of the sample during each."""

from __future__ import annotations

import numpy as np

from analysis.ptychography.canvas import motion_during_frames, path_of_exposure
from analysis.ptychography.streaming import BLOCK

_TESTED = 200  # exposures used to compare orientations and first probes
_TESTED_LINES = 8  # of the scan's grid, at least


class Exposures:
    """The trigger, the row in the file and the position of every frame, and which frames form an exposure.

    Frames of an exposure belong to one line, and to consecutive triggers except for lost ones.

    Parameters
    ----------
    binning : int or None
        Number of frames per exposure; None until `bin_by` sets it.

    Attributes
    ----------
    numbers, rows : ndarray, int64, (N,)
        Number of each frame's trigger, and its row in the detector's file.
    positions : ndarray, float64, (N, 2)
        In pixels of the object.
    """

    def __init__(self, binning: int | None) -> None:
        self._binning = binning
        self.numbers, self.rows, self._lines = (np.empty(0, dtype=np.int64) for _ in range(3))
        self.positions = np.empty((0, 2))
        self._starts: list[int] = []

    def add(self, numbers: np.ndarray, rows: np.ndarray, lines: np.ndarray, positions: np.ndarray) -> None:
        """Take further frames."""
        known = len(self.numbers)
        self.numbers, self.rows = np.append(self.numbers, numbers), np.append(self.rows, rows)
        self._lines, self.positions = np.append(self._lines, lines), np.concatenate([self.positions, positions])
        if self._binning is not None:
            self._divide(known)

    def bin_by(self, binning: int) -> None:
        """Set the number of frames per exposure."""
        self._binning = binning
        self._divide(0)

    def blocks(self, *, ended: bool) -> int:
        """Blocks of exposures that are complete: the next exposure has begun, or there are no more."""
        return -(-len(self._starts) // BLOCK) if ended else max(0, len(self._starts) - 1) // BLOCK

    def block(self, number: int) -> list[slice]:
        """The exposures of a block."""
        return [self._exposure(index) for index in range(number * BLOCK, min(len(self._starts), (number + 1) * BLOCK))]

    def path(self, exposure: slice, live: float | None) -> np.ndarray:
        """Places (S, 2) of the sample during an exposure, pixels.

        `live` is the fraction of a frame's time during which it is exposed; None: the mean position represents all.
        """
        positions = self.positions[exposure]
        if live is None:
            return positions.mean(axis=0, keepdims=True)
        first, last = max(0, exposure.start - 1), exposure.stop + 1
        moved = motion_during_frames(self.numbers[first:last], self.positions[first:last], live)
        moved = moved[exposure.start - first :][: len(positions)]
        return path_of_exposure(positions[0] - moved[0] / 2, positions[-1] + moved[-1] / 2)

    def enough_to_compare(self) -> bool:
        """Whether the exposures used to compare orientations and first probes have arrived."""
        needed = self._needed()
        return needed is not None and len(self._starts) > needed

    def around_the_middle(self) -> list[slice]:
        """Neighbouring exposures, in order, used to compare orientations and first probes."""
        starts = np.array(self._starts[: self._needed()])
        places = self.positions[starts]
        far = np.hypot(*(places - np.median(places, axis=0)).T)
        return [self._exposure(int(index)) for index in np.sort(np.argsort(far, kind="stable")[:_TESTED])]

    def _divide(self, known: int) -> None:
        assert self._binning is not None
        if self._binning == 1:
            self._starts.extend(range(known, len(self.numbers)))
            return
        for index in range(known, len(self.numbers)):
            first = self._starts[-1] if self._starts else None
            full = first is None or self.numbers[index] >= self.numbers[first] + self._binning
            if full or self._lines[index] != self._lines[first]:
                self._starts.append(index)

    def _needed(self) -> int | None:
        """The first exposures that are enough and extend over enough lines; None if there are none."""
        _, first = np.unique(self._lines, return_index=True)
        if len(first) < _TESTED_LINES:
            return None
        return max(_TESTED, int(np.searchsorted(self._starts, np.sort(first)[_TESTED_LINES - 1])))

    def _exposure(self, index: int) -> slice:
        last = self._starts[index + 1] if index + 1 < len(self._starts) else len(self.numbers)
        return slice(self._starts[index], last)
