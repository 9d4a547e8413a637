"""Maps of counts: the same bits however the frames are cut, and a dark field that is dark."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.ptychography import SumMaps

RNG = np.random.default_rng(0)
FRAMES = RNG.poisson(1.0, (150, 8, 8)).astype("<u2")
FRAMES[:, 2:6, 2:6] += 20
FRAMES[100:110, 0, :] += 50  # these scatter
CELLS = np.arange(150) % 140


def maps(count: int, cuts: set[int] = frozenset(), looks: set[int] = frozenset()) -> tuple[np.ndarray, np.ndarray]:
    sums = SumMaps((10, 15))
    for first, last in itertools.pairwise(sorted({0, count} | {cut for cut in cuts if cut < count})):
        sums.update(FRAMES[first:last], CELLS[first:last])
        if last in looks:
            sums.result()
    return sums.result()


def test_counts_and_dark_field() -> None:
    counts, dark = maps(150)
    assert counts.dtype == dark.dtype == np.float32
    assert counts.ravel()[120] == FRAMES[120].sum()
    assert counts.ravel()[3] == pytest.approx((FRAMES[3].sum() + FRAMES[143].sum()) / 2)
    assert np.isnan(counts.ravel()[145])
    scattering = dark.ravel()[100:110]
    assert scattering.min() > 5 * np.nanmax(dark.ravel()[:100])
    outside = np.ones((8, 8), dtype=bool)
    outside[2:6, 2:6] = False
    assert dark.ravel()[120] == FRAMES[120][outside].sum()


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 150), cuts=st.sets(st.integers(1, 149)), looks=st.sets(st.integers(1, 149), max_size=3))
def test_where_frames_are_cut_and_looked_at_changes_no_bit(count: int, cuts: set[int], looks: set[int]) -> None:
    for whole, cut in zip(maps(count), maps(count, cuts, looks), strict=True):
        assert whole.tobytes() == cut.tobytes()
