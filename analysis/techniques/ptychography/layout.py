"""The description of a ptychographic scan in a start document: frames, positions and the planned grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.documents.refusal import RunRefused

ENTRY = "ptychography"


@dataclass(frozen=True)
class Grid:
    """The lines and points of a scan as planned; lines run along x.

    Attributes
    ----------
    y_um, x_um : tuple of (float, float, int)
        First and last position and number of them.
    """

    y_um: tuple[float, float, int]
    x_um: tuple[float, float, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Cells of a map."""
        return self.y_um[2], self.x_um[2]

    def cells(self, y_um: np.ndarray, x_um: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The cell of each position (B,), int64, and whether the position is within one cell of the grid, bool."""
        row, in_y = _nearest(y_um, *self.y_um)
        column, in_x = _nearest(x_um, *self.x_um)
        return row * self.x_um[2] + column, in_y & in_x


@dataclass(frozen=True)
class Layout:
    """The "ptychography" entry of a start document.

    Attributes
    ----------
    frames, positions : str
        Names of the streams.
    image, frame_number : str
        Data keys of the frames: pixels, and number of the trigger.
    position_number, y, x : str
        Data keys of the positions: number of the trigger, and encoder readings (um).
    shape : (H, W)
        Pixels of a frame.
    grid : Grid
        The grid of the maps.
    saturation : int or None
        Counts at which a pixel is saturated.
    pixel_size_um : (float, float)
        Size of a cell of the maps.
    expected : int or None
        Frames that the run should have.
    """

    frames: str
    positions: str
    image: str
    frame_number: str
    position_number: str
    y: str
    x: str
    shape: tuple[int, int]
    grid: Grid
    saturation: int | None
    expected: int | None

    @classmethod
    def of(cls, start: Mapping[str, Any]) -> Layout:
        """Read it from a run's start document.

        Raises
        ------
        RunRefused
            If something required is missing or of the wrong kind.
        """
        entry = start.get(ENTRY)
        if not isinstance(entry, Mapping):
            raise RunRefused(f'the start document has no "{ENTRY}" entry: it isn\'t a ptychographic scan (scan with fly_scan)')
        frames, positions = _part(entry, "frames"), _part(entry, "positions")
        grid = _part(entry, "grid")
        expected = start.get("num_points")
        return cls(
            frames=_name(frames, "frames", "stream"),
            positions=_name(positions, "positions", "stream"),
            image=_name(frames, "frames", "image"),
            frame_number=_name(frames, "frames", "number"),
            position_number=_name(positions, "positions", "number"),
            y=_name(positions, "positions", "y"),
            x=_name(positions, "positions", "x"),
            shape=_shape(entry.get("shape")),
            grid=Grid(_axis(grid, "y_um"), _axis(grid, "x_um")),
            saturation=_counts(entry.get("saturation_counts")),
            expected=expected if isinstance(expected, int) and not isinstance(expected, bool) and expected > 0 else None,
        )

    @property
    def pixel_size_um(self) -> tuple[float | None, float | None]:
        """Distance of lines and of points (um); None if there is only one."""
        return _step(self.grid.y_um), _step(self.grid.x_um)


def _nearest(values: np.ndarray, first: float, last: float, num: int) -> tuple[np.ndarray, np.ndarray]:
    if num == 1:  # without a step, no position is outside
        return np.zeros(len(values), dtype=np.int64), np.isfinite(values)
    step = (last - first) / (num - 1) if last != first else 1.0
    place = (values - first) / step
    inside = (place > -1) & (place < num)
    return np.clip(np.nan_to_num(np.rint(place)), 0, num - 1).astype(np.int64), inside


def _step(axis: tuple[float, float, int]) -> float | None:
    first, last, num = axis
    return abs(last - first) / (num - 1) if num > 1 else None


def _part(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = entry.get(name)
    if not isinstance(part, Mapping):
        raise RunRefused(f'{ENTRY}["{name}"] must be a table, not {part!r}')
    return part


def _name(part: Mapping[str, Any], of: str, key: str) -> str:
    value = part.get(key)
    if not isinstance(value, str):
        raise RunRefused(f'{ENTRY}["{of}"]["{key}"] must be the name of a data key or stream, not {value!r}')
    return value


def _shape(value: Any) -> tuple[int, int]:
    if not (isinstance(value, list | tuple) and len(value) == 2 and all(type(n) is int and n > 0 for n in value)):
        raise RunRefused(f'{ENTRY}["shape"] must be the [height, width] of a frame in pixels, not {value!r}')
    return value[0], value[1]


def _axis(grid: Mapping[str, Any], key: str) -> tuple[float, float, int]:
    value = grid.get(key)
    good = isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(v, int | float) for v in value)
    if not good or not np.isfinite(value).all() or value[2] != int(value[2]) or not 1 <= value[2] <= 100_000:  # type: ignore
        raise RunRefused(f'{ENTRY}["grid"]["{key}"] must be [first, last, number], in um, not {value!r}')
    return float(value[0]), float(value[1]), int(value[2])  # type: ignore[index]


def _counts(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise RunRefused(f'{ENTRY}["saturation_counts"] must be None or a positive number, not {value!r}')
    return int(value)
