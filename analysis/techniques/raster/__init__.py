"""Raster scans with a pencil beam: maps of chemical elements, or of what detectors count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.techniques.protocol import Technique
from analysis.techniques.raster.intake import REASONS
from analysis.techniques.raster.layout import ENTRY
from analysis.techniques.raster.run import METHODS, RasterRun, check_recipe


def _references(start: Mapping[str, Any]) -> Sequence[ReferenceName]:
    return []


def open_run(start: Mapping[str, Any], store: ReferenceStore) -> RasterRun:
    """Return the run of a start document."""
    return RasterRun(start)


OPTIONS: Mapping[str, Mapping[str, Any]] = {name: method.defaults for name, method in METHODS.items()}
"""The options of each method with their default values, for whoever writes recipes."""


TECHNIQUE = Technique(
    entry=ENTRY,
    rows=RasterRun.rows,
    methods=METHODS,
    default=("map",),
    reasons=REASONS,
    references=_references,
    open=open_run,
)

__all__ = ["OPTIONS", "TECHNIQUE", "check_recipe", "open_run"]
