"""Mask calibrations: the measured transmission of the masks in the beam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.techniques.ghost.mask_sets import KIND
from analysis.techniques.masks.layout import ENTRY, Layout
from analysis.techniques.masks.options import DEFAULTS, METHOD
from analysis.techniques.masks.run import CalibrationRun
from analysis.techniques.protocol import MethodInfo, Technique
from analysis.techniques.radiographs.intake import REASONS


def _references(start: Mapping[str, Any]) -> Sequence[ReferenceName]:
    return [ReferenceName(KIND, Layout.of(start).design)]


def open_run(start: Mapping[str, Any], store: ReferenceStore) -> CalibrationRun:
    """Return the run of a start document, with its mask set from the store."""
    return CalibrationRun(start, store)


TECHNIQUE = Technique(
    entry=ENTRY,
    rows=CalibrationRun.rows,
    methods={METHOD: MethodInfo(METHOD, True, "Measured transmission of each mask, registered against its design.", DEFAULTS)},
    default=(METHOD,),
    reasons=REASONS,
    references=_references,
    open=open_run,
)
