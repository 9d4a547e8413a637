"""Radiographs behind a scintillator: series, and scans with rotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.techniques.protocol import Technique
from analysis.techniques.radiographs.intake import REASONS
from analysis.techniques.radiographs.layout import ENTRY, Layout
from analysis.techniques.radiographs.run import METHODS, RadiographRun
from analysis.techniques.radiographs.whitening import KIND


def _references(start: Mapping[str, Any]) -> Sequence[ReferenceName]:
    identity = Layout.of(start).kernel
    return [] if identity is None else [ReferenceName(KIND, identity)]


def open_run(start: Mapping[str, Any], store: ReferenceStore) -> RadiographRun:
    """Return the run of a start document."""
    for name in _references(start):
        store.load(name)
    return RadiographRun(start, store)


TECHNIQUE = Technique(
    entry=ENTRY,
    rows=RadiographRun.rows,
    methods=METHODS,
    default=("mean",),
    reasons=REASONS,
    references=_references,
    open=open_run,
)
