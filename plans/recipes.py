"""Checks the recipes of a plan before anything moves."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from plans.refusal import PlanRequestError

Methods = Mapping[str, Mapping[str, Any]]
"""The options of each method with their default values; None is chosen from the data."""

CheckRecipe = Callable[[Mapping[str, Any]], Any]
"""Raises ValueError, with a sentence, if an option of a recipe has an impossible value."""

RECIPE_KEYS = {"method": str, "options": dict, "seed": int, "device": str}


def check_recipes(recipes: Any, methods: Methods | None = None, check_recipe: CheckRecipe | None = None) -> list[dict[str, Any]]:
    """Return the recipes, each with a method and options.

    Parameters
    ----------
    recipes : list of str or dict, optional
        As the user wrote them.
    methods : mapping, optional
        The methods that there are. Without it any name is taken.
    check_recipe : callable, optional
        Checks the values of the options. Without it any value is taken.

    Raises
    ------
    PlanRequestError
        If an entry is not a recipe, its method or an option doesn't exist, or an option has an impossible value.
    """
    if recipes is not None and not isinstance(recipes, (list, tuple)):
        raise PlanRequestError(f"recipes must be a list such as ['tv'] or [{{'method': 'tv', 'options': {{}}}}], not {recipes!r}")
    checked = [_checked(entry) for entry in recipes or ()]
    if methods is not None:
        for recipe in checked:
            _check_known(recipe, methods)
    if check_recipe is not None:
        for recipe in checked:
            try:
                check_recipe(recipe)
            except ValueError as error:
                raise PlanRequestError(f"recipes: {recipe['method']}: {error}") from error
    return checked


def _checked(entry: Any) -> dict[str, Any]:
    recipe = {"method": entry} if isinstance(entry, str) else entry
    if not isinstance(recipe, dict) or not isinstance(recipe.get("method"), str):
        raise PlanRequestError(f"recipes: {entry!r} names no method; it must be like {{'method': 'tv', 'options': {{}}}}")
    for key, value in recipe.items():
        kind = RECIPE_KEYS.get(key)
        if kind is None:
            raise PlanRequestError(f"recipes: {entry!r} may hold {', '.join(RECIPE_KEYS)} only, not {key!r}")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise PlanRequestError(f"recipes: {key} must be of type {kind.__name__}, not {value!r}")
    return {"options": {}} | recipe


def _check_known(recipe: Mapping[str, Any], methods: Methods) -> None:
    method = recipe["method"]
    if method not in methods:
        raise PlanRequestError(
            f"recipes: unknown method {method!r}; the methods are {', '.join(methods)}{_close_match(method, methods)}"
        )
    defaults = methods[method]
    unknown = [name for name in recipe["options"] if name not in defaults]
    if unknown:
        there = f"its options are {', '.join(defaults)}{_close_match(unknown[0], defaults)}" if defaults else "it has none"
        raise PlanRequestError(f"recipes: {method} has no option {', '.join(map(str, unknown))}; {there}")


def _close_match(name: Any, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, list(known), n=1) if isinstance(name, str) else []
    return f"; did you mean {matches[0]}?" if matches else ""
