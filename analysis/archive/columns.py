"""How each column of a run's streams is stored in Tiled: as numbers, as an array, as text, or not at all.

A column is first stored as its descriptor announces it. If a value does not fit, the column moves on to its next way of
storage, and the run is written again from the log. So a regular column is stored in the usual way, and an irregular one does
not stop the archiver.

=========  ============================================================================
storage    what it holds
=========  ============================================================================
float      a column of float64; None comes back as NaN
int        a column of int64
uint       an array of uint64: a table has no such column
bool       a column of booleans
text       a column of text; None for a missing value
array      an array node with one entry per event, all of one shape and type
json       a column of text: each value as JSON, whatever its type
file       a reference: the data are in files that stream or datum documents announce
left out   nothing
=========  ============================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.archive.json_values import same
from analysis.archive.names import stored_names

LEFT_OUT = "left out"
MISSING = object()
"""Stands for the value of an event that lacks a key."""

_STEPS = {
    "number": ("float", "int", "uint", "array", "json", LEFT_OUT),
    "integer": ("int", "uint", "float", "array", "json", LEFT_OUT),
    "boolean": ("bool", "array", "json", LEFT_OUT),
    "string": ("text", "json", LEFT_OUT),
    "array": ("array", "json", LEFT_OUT),
    "file": ("file", LEFT_OUT),
}
_ANYTHING = ("json", LEFT_OUT)
_FAILURES = 2  # the first failure may have another cause


class ColumnUnfit(Exception):
    """The storage of some columns has changed: the run must be written again."""


class ColumnFailed(Exception):
    """One column, it appears, could not be stored or read back."""

    def __init__(self, stream: str, key: str, problem: str) -> None:
        super().__init__(f"{stream}/{key}: {problem}")
        self.stream, self.key, self.problem = stream, key, problem


@dataclass
class Column:
    """One data key of a stream.

    Attributes
    ----------
    key : str
        Name in the documents.
    name : str
        Name in Tiled.
    data_key : dict
        From the descriptor.
    steps : tuple of str
        The ways to store it, the present one first.
    reason : str
        Why it is not stored as it was announced; empty if it is.
    """

    key: str
    name: str
    data_key: Mapping[str, Any]
    steps: tuple[str, ...]
    reason: str = ""
    failures: int = field(default=0)

    @property
    def storage(self) -> str:
        """The present way to store it."""
        return self.steps[0]

    def step_on(self, reason: str, fits: Callable[[str], bool] = lambda storage: True) -> None:
        """Change to the next way of storage that fits, and note the reason."""
        self.reason = self.reason or reason
        steps = self.steps[1:] or (LEFT_OUT,)
        while len(steps) > 1 and not fits(steps[0]):
            steps = steps[1:]
        self.steps = steps

    def fail(self, reason: str) -> bool:
        """Note that it could not be stored or read back; the second time, change its storage and return True."""
        self.failures += 1
        if self.failures < _FAILURES:
            return False
        self.failures = 0
        self.step_on(reason)
        return True


class Layout:
    """How the streams and columns of one run are stored; kept over several attempts to write the run.

    Parameters
    ----------
    changed : dict, optional
        The `changed` of an earlier layout of this run.
    """

    def __init__(self, changed: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self._before = changed or {}
        self.names: dict[str, str] = {}
        """The stored name of each stream."""
        self._columns: dict[str, dict[str, Column]] = {}

    def open(self, descriptor: Mapping[str, Any]) -> None:
        """Add a descriptor; columns that its stream already has stay as they are."""
        stream = str(descriptor["name"])
        if stream not in self.names:
            self.names.update(stored_names([stream], self.names.values()))
            self._columns[stream] = {}
        columns = self._columns[stream]
        new = {key: data_key for key, data_key in descriptor["data_keys"].items() if key not in columns}
        for key, name in stored_names(new, [column.name for column in columns.values()]).items():
            columns[key] = Column(key, name, new[key], _steps(new[key]))
            if key in self._before.get(stream, {}):
                columns[key].steps = (self._before[stream][key],)

    def columns(self, stream: str) -> list[Column]:
        """All columns of a stream."""
        return list(self._columns.get(stream, {}).values())

    def column(self, stream: str, key: str) -> Column | None:
        """The column of a data key, if a descriptor announced it."""
        return self._columns.get(stream, {}).get(key)

    def files(self) -> list[Column]:
        """All columns whose data are in files."""
        return [column for columns in self._columns.values() for column in columns.values() if column.storage == "file"]

    def converted(self) -> dict[str, str]:
        """Columns that are stored differently from their announcement without loss: how, by stream and key."""
        said = {stream: f"called {name}" for stream, name in self.names.items() if name != stream}
        for stream, columns in self._columns.items():
            for column in columns.values():
                how = [f"called {column.name}"] if column.name != column.key else []
                how += [f"stored as {column.storage}: {column.reason}"] if column.reason and column.storage != LEFT_OUT else []
                if how:
                    said[f"{stream}/{column.key}"] = ", ".join(how)
        return said

    def changed(self) -> dict[str, dict[str, str]]:
        """Storage of each column that is not stored as it was announced, by stream and key."""
        said = {
            stream: {column.key: column.storage for column in columns.values() if column.reason}
            for stream, columns in self._columns.items()
        }
        return {stream: columns for stream, columns in said.items() if columns}

    def left_out(self) -> dict[str, str]:
        """Columns that are not stored, with the reason, by stream and key."""
        return {
            f"{stream}/{column.key}": f"left out: {column.reason}"
            for stream, columns in self._columns.items()
            for column in columns.values()
            if column.storage == LEFT_OUT
        }


def fits(storage: str, value: Any) -> bool:
    """Whether a column with this storage holds this value unchanged (for an array: as its first entry)."""
    if storage == "float":
        return value is None or isinstance(value, float) or (isinstance(value, int) and _is_float(value))
    if storage == "int":
        return isinstance(value, int) and -(2**63) <= value < 2**63
    if storage == "uint":
        return isinstance(value, int) and 0 <= value < 2**64
    if storage == "bool":
        return isinstance(value, bool) or (isinstance(value, int) and value in (0, 1))
    if storage == "text":
        return value is None or isinstance(value, str)
    if storage == "array":
        array = as_array(value)
        return array is not None and array.size > 0
    if storage == "json":
        try:
            as_json(value)
        except (TypeError, ValueError):
            return False
        return True
    return storage == LEFT_OUT


def plain(value: Any) -> Any:
    """The value in an event; an array without dimensions becomes the number in it."""
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def as_array(value: Any) -> np.ndarray | None:
    """An array or list of numbers as an array; None if it is neither."""
    if not isinstance(value, np.ndarray | list | tuple):
        return None
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):  # ragged
        return None
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        return None
    return array if isinstance(value, np.ndarray) or same(value, array.tolist()) else None


def as_dtype(array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray | None:
    """The same numbers as another type; None if some would change."""
    with np.errstate(invalid="ignore", over="ignore"):
        other = array.astype(dtype)
    return other if same_numbers(array, other) else None


def same_numbers(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays hold exactly the same numbers, whatever their types: 2**53 + 1 is no float64. NaN equals NaN."""
    if a.shape != b.shape:
        return False
    if a.dtype == b.dtype:
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    with np.errstate(invalid="ignore", over="ignore"):
        there, back = a.astype(b.dtype), b.astype(a.dtype)
    return np.array_equal(there, b, equal_nan=b.dtype.kind == "f") and np.array_equal(back, a, equal_nan=a.dtype.kind == "f")


def as_json(value: Any) -> str | None:
    """A value as JSON; None, which is no text, for a missing one."""
    if value is MISSING:
        return None
    return json.dumps(value, default=_listed)


def _listed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"of type {type(value).__name__}")


def _is_float(value: int) -> bool:
    try:
        return int(float(value)) == value
    except OverflowError:
        return False


def _steps(data_key: Mapping[str, Any]) -> tuple[str, ...]:
    if "external" in data_key:
        return _STEPS["file"]
    return _STEPS.get(str(data_key.get("dtype")), _ANYTHING)
