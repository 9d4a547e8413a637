"""Adds the numpy type to every data key, which ophyd leaves open."""

from __future__ import annotations

from typing import Any

_SCALARS = {"number": "<f8", "integer": "<i8", "boolean": "|b1"}
_EPICS_STRING_LENGTH = 40


class NumpyTyped:
    """Mix-in for devices and signals: adds `dtype_numpy` to what the classes after it describe.

    Without it readers guess from the first value, and a float that happens to be whole becomes an integer.
    """

    def describe(self) -> dict[str, Any]:
        """Describe what `read` returns."""
        return _typed(super().describe())  # type: ignore[misc]

    def describe_configuration(self) -> dict[str, Any]:
        """Describe what `read_configuration` returns."""
        return _typed(super().describe_configuration())  # type: ignore[misc]


def _typed(description: dict[str, Any]) -> dict[str, Any]:
    for key in description.values():
        if "dtype_numpy" not in key and not key["shape"]:
            if key["dtype"] == "string":
                longest = max(map(len, key.get("enum_strs") or ()), default=_EPICS_STRING_LENGTH)
                key["dtype_numpy"] = f"<U{longest}"
            elif key["dtype"] in _SCALARS:
                key["dtype_numpy"] = _SCALARS[key["dtype"]]
    return description
