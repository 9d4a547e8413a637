"""Ptychography: diffraction patterns of a scanned beam, with their positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.techniques.protocol import Technique
from analysis.techniques.ptychography.intake import REASONS
from analysis.techniques.ptychography.layout import ENTRY
from analysis.techniques.ptychography.methods import METHODS
from analysis.techniques.ptychography.run import PtychographyRun


def _references(start: Mapping[str, Any]) -> Sequence[ReferenceName]:
    return []


def open_run(start: Mapping[str, Any], store: ReferenceStore) -> PtychographyRun:
    """Return the run of a start document."""
    return PtychographyRun(start, store)


OPTIONS: Mapping[str, Mapping[str, Any]] = {name: method.defaults for name, method in METHODS.items()}
"""The options of each method with their default values, for authors of recipes."""


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """Raise ValueError if an option of a recipe has an invalid value; the message says what is valid.

    Parameters
    ----------
    recipe : mapping
        As in a start document: `method`, and optionally `options`.
    """
    METHODS[recipe["method"]].checked(recipe.get("options", {}))


TECHNIQUE = Technique(
    entry=ENTRY,
    rows=PtychographyRun.rows,
    methods=METHODS,
    default=("sums",),
    reasons=REASONS,
    references=_references,
    open=open_run,
)
