"""What the first realizations say of a scan: dark, flat, or fine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import MadeRun, mask_set

from analysis.techniques.ghost.signal import LIT_AFTER, VARIED_AFTER, BucketSignal

MASKS = mask_set()


def doubt_of(run: MadeRun, rows: int) -> str | None:
    signal = BucketSignal(run.start)
    seen = 0
    for name, doc in run.documents():
        signal(name, doc)
        seen += name == "event" and "mask_stage_index" in doc["data"]
        if seen == rows:
            break
    return signal.doubt


def measured(bucket, monitor, *, seed=0, **kwargs) -> MadeRun:
    """A run whose counters get so many counts on average in each realization (one number, or one for each)."""
    rng = np.random.default_rng(seed)
    counts = zip(rng.poisson(bucket, size=96), rng.poisson(monitor, size=96), strict=True)
    values = {number: {"diode": float(b), "diode_monitor": float(m)} for number, (b, m) in enumerate(counts, start=1)}
    return MadeRun(MASKS, values=values, **kwargs)


def test_a_good_scan_raises_no_doubt() -> None:
    assert doubt_of(MadeRun(MASKS), LIT_AFTER) is None
    assert doubt_of(MadeRun(MASKS), 96) is None


@given(seed=st.integers(0, 1000))
def test_light_with_the_noise_of_counts_is_no_doubt_whatever_the_seed(seed: int) -> None:
    open_parts = np.random.default_rng(seed).uniform(0.4, 0.6, 96)
    assert doubt_of(measured(3000 * open_parts + 20, 5000, seed=seed), 96) is None


def test_a_scan_in_the_dark_is_named_after_the_first_realizations() -> None:
    run = measured(20, 10)
    assert doubt_of(run, LIT_AFTER - 1) is None
    said = doubt_of(run, LIT_AFTER)
    assert said is not None and "no higher than without light" in said and "are all shutters open" in said


def test_a_monitor_that_sees_light_says_where_to_look() -> None:
    said = doubt_of(measured(20, 1e6), LIT_AFTER)
    assert said is not None and "The incident-beam monitor sees light" in said


def test_without_dark_exposures_only_nothing_at_all_is_dark() -> None:
    assert doubt_of(measured(20, 1e6, dark=0), LIT_AFTER) is None
    said = doubt_of(measured(0, 1e6, dark=0), LIT_AFTER)
    assert said is not None and "no higher than without light" in said


@pytest.mark.parametrize("monitor", [True, False])
def test_buckets_that_vary_no_more_than_counts_show_nothing_of_the_sample(monitor: bool) -> None:
    run = measured(10_000, 1e6, ghost={} if monitor else {"monitor": None})
    assert doubt_of(run, VARIED_AFTER - 1) is None
    said = doubt_of(run, VARIED_AFTER)
    assert said is not None and "counting noise alone explains" in said


def test_lost_realizations_are_no_darkness() -> None:
    run = MadeRun(MASKS, values={number: {"diode": float("nan")} for number in range(1, 20)})
    assert doubt_of(run, 30) is None
