"""What a start document must say of a series of frame pairs."""

from pathlib import Path

import pytest
from pair_runs import PairSeries

from analysis.documents.refusal import RunRefused
from analysis.techniques.pairs.layout import Layout


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"kind": "dark_flat"}, "holds dark and flat frames alone"),
        ({"halves": [[0, 48, 0, 48], [0, 48, 40, 88]]}, "overlap: their noise would not be independent"),
        ({"halves": [[0, 48, 0, 48], [0, 48, 60, 108]]}, "not inside a frame of 48x96"),
        ({"halves": [[0, 48, 0, 48], [0, 40, 48, 96]]}, "make their windows alike"),
        ({"pairing": "thirds"}, "thirds"),
    ],
)
def test_a_run_without_pairs_is_refused_by_name(entry, says):
    start = PairSeries(Path("a.h5"), 2, **entry).start()[0][1]
    with pytest.raises(RunRefused, match=says):
        Layout.of(start)
