"""Frame pairs: two noisy images of the same scene at a time, denoised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.documents.frame_folders import frame_folders
from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.techniques.pairs.intake import REASONS
from analysis.techniques.pairs.layout import ENTRY
from analysis.techniques.pairs.methods import METHODS
from analysis.techniques.pairs.run import PairsRun
from analysis.techniques.protocol import Technique


def _references(start: Mapping[str, Any]) -> Sequence[ReferenceName]:
    return []


def open_run(start: Mapping[str, Any], store: ReferenceStore) -> PairsRun:
    """Return the run of a start document."""
    return PairsRun(start, frame_folders(store.state_dir))


OPTIONS: Mapping[str, Mapping[str, Any]] = {name: method.defaults for name, method in METHODS.items()}
"""The options of each method with their default values, for authors of recipes."""


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """Raise ValueError if an option of a recipe has an impossible value; the message says what is possible.

    Parameters
    ----------
    recipe : mapping
        As in a start document: `method`, and optionally `options`.
    """
    METHODS[recipe["method"]].checked_options(recipe.get("options", {}))


TECHNIQUE = Technique(
    entry=ENTRY,
    rows=PairsRun.rows,
    methods=METHODS,
    default=("gaussian", "pair_network"),
    reasons=REASONS,
    references=_references,
    open=open_run,
)
