"""Radiographs behind a scintillator: series, and scans with rotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.techniques.protocol import Technique
from analysis.techniques.radiographs.intake import REASONS
from analysis.techniques.radiographs.layout import ENTRY, Layout
from analysis.techniques.radiographs.noise2self import NOISE2SELF_LIMITS
from analysis.techniques.radiographs.options import checked
from analysis.techniques.radiographs.run import METHODS, RadiographRun
from analysis.techniques.radiographs.tomography_options import tomography_options
from analysis.techniques.radiographs.whitening import KIND


def _references(start: Mapping[str, Any]) -> Sequence[ReferenceName]:
    identity = Layout.of(start).kernel
    return [] if identity is None else [ReferenceName(KIND, identity)]


def open_run(start: Mapping[str, Any], store: ReferenceStore) -> RadiographRun:
    """Return the run of a start document."""
    for name in _references(start):
        store.load(name)
    return RadiographRun(start, store)


OPTIONS: Mapping[str, Mapping[str, Any]] = {name: method.defaults for name, method in METHODS.items()}
"""The options of each method with their default values, for whoever writes recipes."""


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """Raise ValueError if an option of a recipe has an impossible value; the message says what is possible.

    Parameters
    ----------
    recipe : mapping
        As in a start document: `method`, and maybe `options`.
    """
    method, options = recipe["method"], recipe.get("options", {})
    if method in ("fbp", "sirt", "tv"):
        tomography_options(method, options)
    else:
        checked(method, OPTIONS[method], options, NOISE2SELF_LIMITS if method == "noise2self" else {})


TECHNIQUE = Technique(
    entry=ENTRY,
    rows=RadiographRun.rows,
    methods=METHODS,
    default=("mean",),
    reasons=REASONS,
    references=_references,
    open=open_run,
)
