"""How the quantities of an estimate are declared in a descriptor, and what the data keys say about them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analysis.estimate import Quantity


def quantity_key(quantity: Quantity) -> dict[str, Any]:
    """The data key of a quantity; entries that do not apply are left out."""
    key: dict[str, Any] = {
        "dtype": "array" if quantity.is_array else "number",
        "shape": list(quantity.shape),
        "dtype_numpy": quantity.dtype,
        "meaning": quantity.meaning,
    }
    if quantity.dims:
        key["dims"] = list(quantity.dims)
    for name in ("units", "lower_is_better", "useless_from", "useless_means", "doubtful_from"):
        if (value := getattr(quantity, name)) is not None:
            key[name] = value
    return key


def array_keys(data_keys: Mapping[str, Any]) -> list[str]:
    """The arrays of a derived run, from its descriptor's data keys; the main image comes first."""
    return [key for key, data_key in data_keys.items() if data_key["dtype"] == "array" and len(data_key["shape"]) > 0]


def quality_figures(data_keys: Mapping[str, Any]) -> list[str]:
    """The figures of quality of a derived run, from its descriptor's data keys; the most important one comes first."""
    return [key for key, data_key in data_keys.items() if data_key.get("lower_is_better") is not None]


def is_useless(data_key: Mapping[str, Any], value: float | None) -> bool:
    """Whether a figure of quality shows that its image is no better than a flat one; an unknown figure shows nothing."""
    limit = data_key.get("useless_from")
    if limit is None or value is None or math.isnan(value):
        return False
    return bool(value >= limit if data_key["lower_is_better"] else value <= limit)


def failed_checks(data_keys: Mapping[str, Any], figures: Mapping[str, Any]) -> list[str]:
    """The warnings for an estimate, one sentence for each of its checks that failed."""
    said = []
    for key, data_key in data_keys.items():
        limit, value = data_key.get("doubtful_from"), figures.get(key)
        if limit is not None and value is not None and value >= limit:
            said.append(f"a check failed: {data_key.get('meaning', key)} {value:.3g}, sound below {limit:g}")
    return said
