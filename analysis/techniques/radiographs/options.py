"""Options of a recipe, checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def checked(
    method: str,
    defaults: Mapping[str, Any],
    options: Mapping[str, Any],
    limits: Mapping[str, tuple[float, float]],
    optional: Collection[str] = (),
) -> dict[str, Any]:
    """All options of a method with their defaults.

    Parameters
    ----------
    method : str
    defaults : mapping
    options : mapping
        As they were given.
    limits : mapping of str to (lowest, highest)
        Of numbers; whole numbers where the lowest is one.
    optional : collection of str
        Numbers that may be None.

    Raises
    ------
    ValueError
        If one is unknown, or its value makes no sense; the message says what does.
    """
    if unknown := [str(name) for name in options if name not in defaults]:
        raise ValueError(f"{method} has no option {', '.join(unknown)}; it has {', '.join(defaults) or 'none'}")
    chosen = {**defaults, **options}
    if (kernel := chosen.get("kernel")) is not None and not isinstance(kernel, str):
        raise ValueError(f"the option kernel of {method} must be null or the identity of a kernel, not {kernel!r}")
    for name, (low, high) in limits.items():
        if name not in chosen or (name in optional and chosen[name] is None):
            continue
        value = chosen[name]
        kinds = int if isinstance(low, int) else int | float
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            kind = "whole number" if isinstance(low, int) else "number"
            null = "null or " if name in optional else ""
            raise ValueError(f"the option {name} of {method} must be {null}a {kind} from {low:g} to {high:g}, not {value!r}")
    return chosen
