"""Tells a queueserver which devices a plan's parameters may name, so that it refuses others before they are queued."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def with_devices_named(
    plan: Callable[..., Any], *, lists: Mapping[str, Sequence[str]] | None = None, **devices: Sequence[str]
) -> Callable[..., Any]:
    """Note the names for parameters of a plan.

    Parameters
    ----------
    plan : callable
    lists : mapping of str to sequence of str
        Names that a parameter may list.
    **devices
        Names of which a parameter may be one.

    Returns
    -------
    callable
        The plan.

    Notes
    -----
    queueserver's `parameter_annotation_decorator` would leave the same note; a session does without queueserver.
    """
    parameters = {
        name: {"annotation": annotation, "devices": {"Named": list(names)}}
        for annotation, group in (("typing.List[Named]", lists or {}), ("typing.Optional[Named]", devices))
        for name, names in group.items()
    }
    plan._custom_parameter_annotation_ = {"parameters": parameters}  # type: ignore[attr-defined]
    return plan
