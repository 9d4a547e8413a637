"""Which reconstruction a run gets: a recipe is a method, its options and a seed.

A run's start document may list recipes; otherwise the worker applies its own. The uid of a live derived run follows from the
raw run's uid and the recipe, so that a restarted worker continues the derived run that it had begun.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """How to reconstruct.

    Parameters
    ----------
    method : str
        A name in `analysis.ghost.METHODS`.
    options : mapping
        The method's options (JSON-able); missing ones take the method's defaults.
    seed : int
        Seed of all random choices of the method.
    device : str
        "cpu" or a torch device name. Only the CPU guarantees bitwise reproducible results.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    device: str = "cpu"

    @classmethod
    def parse(cls, entry: Any) -> Recipe:
        """The recipe that one entry of a start document's "recipes" means.

        An entry is a method's name, or a mapping with "method" and perhaps "options", "seed" and "device". Anything else
        becomes a recipe with an unknown method, so that its derived run reports what was wrong.
        """
        if isinstance(entry, str):
            return cls(entry)
        known = {"method", "options", "seed", "device"}
        if not isinstance(entry, Mapping) or not isinstance(entry.get("method"), str) or not set(entry) <= known:
            return cls(f"malformed recipe {entry!r:.200}")
        options, seed = entry.get("options") or {}, entry.get("seed", 0)
        named = isinstance(options, Mapping) and all(isinstance(name, str) for name in options)
        if not named or isinstance(seed, bool) or not isinstance(seed, int):
            return cls(f"malformed recipe {entry!r:.200}")
        recipe = cls(entry["method"], dict(options), seed, str(entry.get("device", "cpu")))
        try:
            canonical(recipe)
        except (TypeError, ValueError, RecursionError):  # keys of mixed type in a value, for instance
            return cls(f"malformed recipe {entry!r:.200}")
        return recipe

    def to_doc(self) -> dict[str, Any]:
        """The recipe as it is written into documents; `parse` reads it back."""
        return {"method": self.method, "options": dict(self.options), "seed": self.seed, "device": self.device}


def recipes_of(start: Mapping[str, Any], default: Sequence[Recipe]) -> list[Recipe]:
    """The recipes that a run requests in its start document, without repetitions, or otherwise the default ones."""
    entries = start.get("recipes")
    if entries is None:
        recipes = list(default)
    elif isinstance(entries, (list, tuple)):
        recipes = [Recipe.parse(entry) for entry in entries]
    else:
        recipes = [Recipe.parse(entries)]
    unique = {canonical(recipe): recipe for recipe in recipes}
    return list(unique.values())


def canonical(recipe: Recipe) -> str:
    """The recipe as JSON that is the same for equal recipes."""
    return json.dumps(recipe.to_doc(), sort_keys=True, separators=(",", ":"), default=str)


def derived_uid(raw_uid: str, recipe: Recipe, attempt: int = 0) -> str:
    """The uid of the live derived run of a raw run by a recipe.

    Parameters
    ----------
    raw_uid : str
        The raw run.
    recipe : Recipe
        The recipe.
    attempt : int
        0, or the number of derived runs of the same run and recipe that were refused before (its mask set was missing).
    """
    name = canonical(recipe) if attempt == 0 else f"{canonical(recipe)}#{attempt}"
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{raw_uid}/{name}"))
