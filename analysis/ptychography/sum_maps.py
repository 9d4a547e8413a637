"""Maps of the sums over each frame of a scan: all counts, and the counts outside the direct beam."""

from __future__ import annotations

import numpy as np

BRIGHT_FIELD_FRAMES = 64
"""The direct beam is where the sum of the first frames, this many, is brighter than on average."""


class SumMaps:
    """Total counts and dark-field counts on the grid of a scan.

    Sums are integers, so the result does not depend on the order of the frames or their division into blocks.

    Parameters
    ----------
    grid : (ny, nx)
        Cells of the maps.
    """

    def __init__(self, grid: tuple[int, int]) -> None:
        self._grid = grid
        cells = grid[0] * grid[1]
        self._frames = np.zeros(cells, dtype=np.int64)
        self._total = np.zeros(cells, dtype=np.int64)
        self._direct = np.zeros(cells, dtype=np.int64)
        self._first: list[tuple[np.ndarray, int]] = []  # frames and cells until the direct beam is known
        self._beam: np.ndarray | None = None  # indices of its pixels

    def update(self, frames: np.ndarray, cells: np.ndarray) -> None:
        """Take frames (B, H, W) of integers, and the index of each frame's cell in the grid, (B,)."""
        pixels = frames.reshape(len(frames), -1)
        if self._beam is None:
            taken = min(len(pixels), BRIGHT_FIELD_FRAMES - len(self._first))
            self._first += [(frame.copy(), int(cell)) for frame, cell in zip(pixels[:taken], cells[:taken], strict=True)]
            if len(self._first) < BRIGHT_FIELD_FRAMES:
                return
            self._beam, first, pixels, cells = self._direct_beam(), self._first, pixels[taken:], cells[taken:]
            self._first = []
            self._add(np.stack([frame for frame, _ in first]), np.array([cell for _, cell in first]))
        self._add(pixels, cells)

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean counts of a frame, and those outside the direct beam; float32 (ny, nx), NaN in cells without a frame."""
        if self._beam is not None or not self._first:
            return self._maps()
        whole = SumMaps(self._grid)
        whole._beam = self._direct_beam()
        whole._add(np.stack([frame for frame, _ in self._first]), np.array([cell for _, cell in self._first]))
        return whole._maps()

    def _direct_beam(self) -> np.ndarray:
        total = np.sum([frame for frame, _ in self._first], axis=0, dtype=np.int64)
        return np.flatnonzero(total > total.mean())

    def _add(self, pixels: np.ndarray, cells: np.ndarray) -> None:
        assert self._beam is not None
        np.add.at(self._frames, cells, 1)
        np.add.at(self._total, cells, pixels.sum(axis=1, dtype=np.int64))
        np.add.at(self._direct, cells, np.take(pixels, self._beam, axis=1).sum(axis=1, dtype=np.int64))

    def _maps(self) -> tuple[np.ndarray, np.ndarray]:
        with np.errstate(invalid="ignore"):
            total = self._total / self._frames
            dark = (self._total - self._direct) / self._frames
        return total.reshape(self._grid).astype(np.float32), dark.reshape(self._grid).astype(np.float32)
