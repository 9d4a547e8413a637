"""From a run's start document to a reconstruction: one subpackage per technique.

A technique is the only place that knows both documents and algorithms. Everything else (worker, replay, views, archive) uses
only the protocols of `analysis.techniques.protocol` and this list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analysis.documents.recipe import Recipe, recipes_of
from analysis.documents.refusal import RunRefused
from analysis.techniques import ghost, masks, pairs, ptychography, radiographs, raster
from analysis.techniques.protocol import Intake, Method, Reconstruction, RowSink, Run, SeriesReconstruction, Technique

TECHNIQUES: dict[str, Technique] = {
    technique.entry: technique
    for technique in (
        ghost.TECHNIQUE,
        ptychography.TECHNIQUE,
        pairs.TECHNIQUE,
        radiographs.TECHNIQUE,
        masks.TECHNIQUE,
        raster.TECHNIQUE,
    )
}
"""All techniques, by the entry of a start document that names them."""


def technique_of(start: Mapping[str, Any]) -> Technique:
    """The technique of a run.

    Raises
    ------
    RunRefused
        If its start document names none, or more than one.
    """
    named = [entry for entry in TECHNIQUES if start.get(entry) is not None]
    if len(named) == 1:
        return TECHNIQUES[named[0]]
    if named:
        raise RunRefused(f"the start document has entries of {len(named)} techniques, {' and '.join(named)}: leave one")
    known = ", ".join(f'"{entry}"' for entry in TECHNIQUES)
    raise RunRefused(f"the start document has no entry that a reconstruction could go by, such as {known}")


def recipes_for(start: Mapping[str, Any], configured: Sequence[Recipe]) -> list[Recipe]:
    """The recipes of a run: those that it requests, else the configured ones that suit its technique, or the technique's own.

    Raises
    ------
    RunRefused
        As in `technique_of`.
    """
    technique = technique_of(start)
    suitable = [recipe for recipe in configured if recipe.method in technique.methods]
    return recipes_of(start, suitable or [Recipe(method) for method in technique.default])


def unknown_methods(methods: Iterable[str]) -> list[str]:
    """The names that are not methods of any technique."""
    known = {method for technique in TECHNIQUES.values() for method in technique.methods}
    return [method for method in methods if method not in known]


__all__ = [
    "TECHNIQUES",
    "Intake",
    "Method",
    "Reconstruction",
    "RowSink",
    "Run",
    "SeriesReconstruction",
    "Technique",
    "recipes_for",
    "technique_of",
    "unknown_methods",
]
