"""What a start document says of a raster scan: where its events hold counts and places, and the grid that was planned."""

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
    """Equally spaced places along one axis, in um."""

    first: float
    last: float
    num: int

    @property
    def step(self) -> float:
        """From one to the next; of one place alone it is 0."""
        return (self.last - self.first) / (self.num - 1) if self.num > 1 else 0.0

    def cells(self, places: np.ndarray, width_um: float) -> np.ndarray:
        """The nearest place of each, (B,); -1 farther away than half of it, or of a width where there is one place alone."""
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
        Where the spectra are; None in a scan without a spectrometer.
    buckets : tuple of str
        Data keys of counts.
    monitor : str or None
    y, x : str
        Data keys of the place of the sample, um.
    rows, columns : Side
        The grid as planned.
    expected : int or None
        Points that the run should have.
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
            If something needed is missing or of another kind than it must be.
        """
        entry = start.get(ENTRY)
        if not isinstance(entry, Mapping):
            raise RunRefused(f'the start document has no "{ENTRY}" entry: it is no raster scan')
        grid, buckets, monitor = entry.get("grid"), entry.get("buckets", []), entry.get("monitor")
        if not isinstance(grid, Mapping):
            raise RunRefused(f'{ENTRY}["grid"] must hold y_um and x_um, not {grid!r:.80}')
        if not (isinstance(buckets, list | tuple) and all(isinstance(key, str) for key in buckets)):
            raise RunRefused(f'{ENTRY}["buckets"] must list data keys, not {buckets!r:.80}')
        if monitor is not None and not isinstance(monitor, str):
            raise RunRefused(f'{ENTRY}["monitor"] must be a data key or None, not {monitor!r:.80}')
        spectra = None if entry.get("spectra") is None else SpectraSpec.of(entry["spectra"])
        if spectra is None and not buckets:
            raise RunRefused(f'{ENTRY} names neither "spectra" nor "buckets": there is nothing to make a map of')
        rows, columns = _side(grid, "y_um"), _side(grid, "x_um")
        if rows.num * columns.num > _MOST_CELLS:
            raise RunRefused(f"a map of {rows.num}x{columns.num} cells is too large: {_MOST_CELLS} go")
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
        """What each map is of: chemical elements, or detectors without spectra."""
        return self.buckets if self.spectra is None else self.spectra.setup.elements

    @property
    def shape(self) -> tuple[int, int]:
        """Cells of the map."""
        return self.rows.num, self.columns.num

    @property
    def steps_um(self) -> tuple[float, float]:
        """Distance of neighbouring cells; of one line alone, that of the points in it."""
        steps = abs(self.rows.step), abs(self.columns.step)
        return steps[0] or steps[1] or 1.0, steps[1] or steps[0] or 1.0

    def cells(self, y_um: np.ndarray, x_um: np.ndarray) -> np.ndarray:
        """The cell of each place, (B,), counted along the rows; -1 beyond the map."""
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
