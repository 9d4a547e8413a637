"""Ghost imaging with a bucket detector: realizations of masks and buckets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.ghost import METHODS, make_reconstructor
from analysis.techniques.ghost.mask_sets import KIND, MASK_SET, MaskSet, checked_identity
from analysis.techniques.ghost.rows import REASONS
from analysis.techniques.ghost.run import GhostRun
from analysis.techniques.ghost.run_spec import RunSpec
from analysis.techniques.ghost.signal import BucketSignal
from analysis.techniques.protocol import Technique


def _references(start: Mapping[str, Any]) -> Sequence[ReferenceName]:
    return [ReferenceName(KIND, RunSpec.of(start).mask_set)]


def open_run(start: Mapping[str, Any], store: ReferenceStore) -> GhostRun:
    """Return the run of a start document, with its mask set from the store."""
    (name,) = _references(start)
    return GhostRun(start, MaskSet.of(store.load(name)), store)


OPTIONS: Mapping[str, Mapping[str, Any]] = {
    name: {"nonnegative": True, "mask_set": None, **method.defaults} for name, method in METHODS.items()
}
"""The options of each method with their default values, for authors of recipes. `mask_set` is the identity of a mask set that
replaces the run's, such as a measured one.
"""


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """Raise ValueError if a recipe is impossible; the message says what is possible.

    It does not load torch and needs no masks, so a session can check a scan before it begins.

    Parameters
    ----------
    recipe : mapping
        As in a start document: `method`, and optionally `options`, `seed` and `device`.
    """
    others = {name: recipe[name] for name in ("seed", "device") if name in recipe}
    options = dict(recipe.get("options", {}))
    checked_identity(options.pop(MASK_SET, None))
    make_reconstructor(recipe["method"], shape=(2, 2), **others, **options)


TECHNIQUE = Technique(
    entry="ghost",
    rows=GhostRun.rows,
    methods=METHODS,
    default=("differential", "tv"),
    reasons=REASONS,
    references=_references,
    open=open_run,
    signal=BucketSignal,
)
