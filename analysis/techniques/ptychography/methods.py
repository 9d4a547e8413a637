"""The methods of ptychography, and their functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.documents.recipe import Recipe
from analysis.estimate import Quantity
from analysis.techniques.protocol import Reconstruction
from analysis.techniques.ptychography.epie import epie_metadata, epie_quantities, epie_reconstruction
from analysis.techniques.ptychography.options import DEFAULTS, checked_options
from analysis.techniques.ptychography.scan import Scan
from analysis.techniques.ptychography.sums import sums_metadata, sums_options, sums_quantities, sums_reconstruction


@dataclass(frozen=True)
class MethodInfo:
    """A method: its name, description and options, and the functions that make its metadata and reconstructions.

    `checked` is called with options, and raises ValueError for invalid ones; the other functions are called with the scan and
    a valid recipe of the method.
    """

    name: str
    fast: bool
    summary: str
    checked: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    quantities: Callable[[Scan, Recipe], Mapping[str, Quantity]]
    metadata: Callable[[Scan, Recipe], Mapping[str, Any]]
    reconstruction: Callable[[Scan, Recipe], Reconstruction]
    defaults: Mapping[str, Any] = field(default_factory=dict)


METHODS = {
    method.name: method
    for method in (
        MethodInfo(
            "sums",
            True,
            "Maps of the counts of each frame, and of those outside the direct beam (dark field).",
            sums_options,
            sums_quantities,
            sums_metadata,
            sums_reconstruction,
        ),
        MethodInfo(
            "epie",
            False,
            "Phase and amplitude of the object, and the probe, by ePIE.",
            checked_options,
            epie_quantities,
            epie_metadata,
            epie_reconstruction,
            DEFAULTS,
        ),
    )
}
"""The methods by name."""
