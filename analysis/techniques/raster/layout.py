"""The entry of a raster scan in a start document: data keys of counts and positions, and the planned grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.documents.refusal import RunRefused
from analysis.techniques.ghost.spectra_spec import SpectraSpec

ENTRY = "raster"
_MOST_CELLS = 10_000_000


@dataclass(frozen=True)
class Side:
    """Equally spaced positions along one axis, in um."""

    first: float
    last: float
    num: int

    @property
    def step(self) -> float:
        """Distance from one position to the next; 0 for a single position."""
        return (self.last - self.first) / (self.num - 1) if self.num > 1 else 0.0

    def cells(self, places: np.ndarray, width_um: float) -> np.ndarray:
        """Return the number of the nearest position, (B,); -1 beyond half a step, or half `width_um` for a single position."""
        step = self.step or width_um
        with np.errstate(invalid="ignore"):
            cells = np.rint((places - self.first) / step)
            inside = (cells >= 0) & (cells < self.num)
        return np.where(inside, cells, -1).astype(np.int64)


@dataclass(frozen=True)
class Layout:
    """The "raster" entry of a start document.

    Attributes
    ----------
    stream : str
    spectra : SpectraSpec or None
        The spectra; None in a scan without a spectrometer.
    buckets : tuple of str
        Data keys of counts.
    monitor : str or None
    y, x : str
        Data keys of the position of the sample, um.
    rows, columns : Side
        The planned grid.
    expected : int or None
        Number of points that the run should have.
    """

    stream: str
    spectra: SpectraSpec | None
    buckets: tuple[str, ...]
    monitor: str | None
    y: str
    x: str
    rows: Side
    columns: Side
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
            raise RunRefused(f'the start document has no "{ENTRY}" entry: it is not a raster scan')
        grid, buckets, monitor = entry.get("grid"), entry.get("buckets", []), entry.get("monitor")
        if not isinstance(grid, Mapping):
            raise RunRefused(f'{ENTRY}["grid"] must hold y_um and x_um, not {grid!r:.80}')
        if not (isinstance(buckets, list | tuple) and all(isinstance(key, str) for key in buckets)):
            raise RunRefused(f'{ENTRY}["buckets"] must list data keys, not {buckets!r:.80}')
        if monitor is not None and not isinstance(monitor, str):
            raise RunRefused(f'{ENTRY}["monitor"] must be a data key or None, not {monitor!r:.80}')
        spectra = None if entry.get("spectra") is None else SpectraSpec.of(entry["spectra"])
        if spectra is None and not buckets:
            raise RunRefused(f'{ENTRY} names neither "spectra" nor "buckets": at least one of them is needed for a map')
        rows, columns = _side(grid, "y_um"), _side(grid, "x_um")
        if rows.num * columns.num > _MOST_CELLS:
            raise RunRefused(f"a map of {rows.num}x{columns.num} cells is too large: at most {_MOST_CELLS} are possible")
        expected = start.get("num_points")
        return cls(
            stream=_key(entry, "stream"),
            spectra=spectra,
            buckets=tuple(buckets),
            monitor=monitor,
            y=_key(entry, "y"),
            x=_key(entry, "x"),
            rows=rows,
            columns=columns,
            expected=expected if type(expected) is int and expected > 0 else None,
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels of the map: chemical elements, or data keys of buckets without spectra."""
        return self.buckets if self.spectra is None else self.spectra.setup.elements

    @property
    def shape(self) -> tuple[int, int]:
        """Cells of the map along y and x."""
        return self.rows.num, self.columns.num

    @property
    def steps_um(self) -> tuple[float, float]:
        """Distance between neighbouring cells along y and x; for a single line, that between its points."""
        steps = abs(self.rows.step), abs(self.columns.step)
        return steps[0] or steps[1] or 1.0, steps[1] or steps[0] or 1.0

    def cells(self, y_um: np.ndarray, x_um: np.ndarray) -> np.ndarray:
        """Return the number of the cell of each position, (B,), row by row; -1 outside the map."""
        down, right = self.rows.cells(y_um, self.steps_um[0]), self.columns.cells(x_um, self.steps_um[1])
        return np.where((down < 0) | (right < 0), -1, down * self.columns.num + right)


def _side(grid: Mapping[str, Any], name: str) -> Side:
    value = grid.get(name)
    if isinstance(value, list | tuple) and len(value) == 3:
        first, last, num = value
        numbers = all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in (first, last))
        if numbers and type(num) is int and num >= 1 and (num == 1) == (first == last):
            return Side(float(first), float(last), num)
    raise RunRefused(f'{ENTRY}["grid"]["{name}"] must be [first, last, number] in um, not {value!r:.80}')


def _key(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str):
        raise RunRefused(f'{ENTRY}: "{name}" must be a name, not {value!r:.80}')
    return value
