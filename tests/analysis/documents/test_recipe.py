"""Recipes: read from start documents, and the uids that follow from them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.documents.recipe import Recipe, derived_uid, recipes_of

TV = Recipe("tv", {"weight": 0.1}, seed=3)


def test_a_recipe_survives_its_document() -> None:
    assert Recipe.parse(TV.to_doc()) == TV


def test_a_method_name_is_a_recipe() -> None:
    assert Recipe.parse("tv") == Recipe("tv")


@pytest.mark.parametrize(
    "entry",
    [
        None,
        3,
        {},
        {"method": 3},
        {"method": "tv", "option": {}},
        {"method": "tv", "seed": "x"},
        {"method": "tv", "options": [1]},
        {"method": "tv", "options": {1: 2}},
        {"method": "tv", "options": {1: 2, "weight": 0.1}},
        {"method": "tv", "options": {"weight": {1: 2, "a": 3}}},
        {1: 2, "method": "tv"},
    ],
)
def test_a_malformed_entry_becomes_a_recipe_that_says_so(entry: Any) -> None:
    assert "malformed recipe" in Recipe.parse(entry).method


def test_the_start_document_decides_and_repetitions_count_once() -> None:
    assert recipes_of({}, [TV]) == [TV]
    assert recipes_of({"recipes": ["tv", {"method": "tv"}, TV.to_doc()]}, []) == [Recipe("tv"), TV]
    assert recipes_of({"recipes": "tv"}, []) == [Recipe("tv")]
    assert recipes_of({"recipes": []}, [TV]) == []


def test_a_derived_uid_follows_from_run_recipe_and_attempt() -> None:
    uids = {
        derived_uid("run", TV),
        derived_uid("other", TV),
        derived_uid("run", Recipe("tv", {"weight": 0.1}, seed=4)),
        derived_uid("run", Recipe("tv", {"weight": 0.2}, seed=3)),
        derived_uid("run", TV, attempt=1),
    }
    assert len(uids) == 5
    assert derived_uid("run", TV) == derived_uid("run", Recipe.parse(TV.to_doc()))


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3)
_KEYS = st.integers() | st.text(max_size=7) | st.sampled_from(["method", "options", "seed", "device"])
_ANYTHING = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4))


@given(_ANYTHING)
def test_whatever_a_start_document_lists_has_a_uid(recipes: Any) -> None:
    for recipe in recipes_of({"recipes": recipes}, [TV]):
        assert derived_uid("run", recipe) == derived_uid("run", Recipe.parse(recipe.to_doc()))


@given(st.dictionaries(st.text(max_size=3), st.integers()))
def test_the_order_of_options_doesnt_matter(options: dict[str, int]) -> None:
    turned = dict(reversed(list(options.items())))
    assert derived_uid("run", Recipe("tv", options)) == derived_uid("run", Recipe("tv", turned))
