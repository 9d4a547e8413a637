"""2000 malformed documents: each is refused by the log with LogError, or comes back as it was, and stops nobody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks._malformed import comes_back, malformed_run
from benchmarks.fuzz_documents import Fuzz


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory):
    fuzz = Fuzz(tmp_path_factory.mktemp("state"))
    yield fuzz
    fuzz.end()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # what NumPy remarks on numbers near the largest ends nothing
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random=st.randoms(use_true_random=True))
def test_malformed_documents_are_refused_or_come_back(fuzz, random):
    fuzz.run(random)
    assert fuzz.told == []


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_services_get_over_what_the_log_took(fuzz):
    assert fuzz.found["documents"] > 2000 and fuzz.found["refused"] > 200
    fuzz.end()
    assert fuzz.told == []


@pytest.mark.parametrize(
    "given, back, same",
    [
        ((1, {"a": np.float32(0.5)}), [1, {"a": 0.5}], True),
        (1, 1.0, False),
        (True, 1, False),
        (0.0, -0.0, False),
        (float("nan"), float("nan"), True),
        (np.zeros(2), np.zeros(2, "f4"), False),
        (np.ma.zeros(2), np.zeros(2), False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        (object(), None, False),
    ],
)
def test_what_counts_as_coming_back(given, back, same):
    assert comes_back(given, back) is same


def test_the_same_seed_makes_the_same_runs():
    from random import Random

    names = [[name for name, _ in malformed_run(Random(3))] for _ in range(2)]
    assert names[0] == names[1]
