"""Metadata converted to JSON and back: values that JSON cannot hold, and whether the result is the logged value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_SMALLEST, _LARGEST = -(2**63), 2**64 - 1  # integers that Tiled's JSON and msgpack can hold


def storable(value: Any, path: str, changed: dict[str, str], *, not_finite_as_none: bool = False) -> Any:
    """A part of a document in a form that JSON can hold.

    Tuples and arrays become lists. NaN, infinity, integers of more than 64 bits and bytes become text, and so do keys.

    Parameters
    ----------
    value : object
        A document or a part of one; not changed.
    path : str
        Its place, such as "start".
    changed : dict
        Receives the converted values, by path.
    not_finite_as_none : bool
        Whether NaN and infinity become None, where a schema accepts only numbers.
    """
    if isinstance(value, Mapping):
        table = {}
        for key, item in value.items():
            if not isinstance(key, str):
                changed[f"{path}/{key}"] = "the key became text"
            table[str(key)] = storable(item, f"{path}/{key}", changed, not_finite_as_none=not_finite_as_none)
        return table
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        items = enumerate(value)
        return [storable(item, f"{path}/{number}", changed, not_finite_as_none=not_finite_as_none) for number, item in items]
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int) and _SMALLEST <= value <= _LARGEST:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, float) and not_finite_as_none:
        changed[path] = f"{value} became None"
        return None
    text = value.hex() if isinstance(value, bytes) else str(value)
    changed[path] = f"{_kind(value)} became the text {text!r:.60}"
    return text


def same(logged: Any, stored: Any) -> bool:
    """Whether a stored value equals the logged one, to the last bit of every number; NaN equals NaN, and lists equal tuples."""
    if isinstance(logged, np.ndarray | np.generic):
        logged = logged.tolist()
    if isinstance(logged, Mapping):
        same_keys = isinstance(stored, Mapping) and logged.keys() == stored.keys()
        return same_keys and all(same(value, stored[key]) for key, value in logged.items())
    if isinstance(logged, list | tuple):
        same_length = isinstance(stored, list | tuple) and len(logged) == len(stored)
        return same_length and all(map(same, logged, stored))
    if isinstance(logged, bool) or isinstance(stored, bool):
        return logged is stored
    if isinstance(logged, float) and math.isnan(logged):
        return isinstance(stored, float) and math.isnan(stored)
    return bool(logged == stored)  # Python compares an integer and a float exactly


def _kind(value: Any) -> str:
    if isinstance(value, float):
        return "a number that is not finite"
    if isinstance(value, int):
        return "a whole number of more than 64 bits"
    return "bytes" if isinstance(value, bytes) else f"a {type(value).__name__}"
