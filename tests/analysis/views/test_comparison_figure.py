"""What is black and white in a picture of compared methods."""

from __future__ import annotations

import numpy as np

from analysis.views.comparison_figure import _alike, _limits


def test_a_range_within_the_spread_is_not_stretched() -> None:
    image = 5 + 1e-3 * np.random.default_rng(0).standard_normal((20, 20))
    low, high = _limits(image, np.full((20, 20), 0.5))
    assert high - low == 1.0
    low, high = _limits(image, np.full((20, 20), np.nan))
    assert high - low < 0.02
    low, high = _limits(np.full((20, 20), 5.0))
    assert low < 5.0 < high


def test_only_like_ranges_share_a_scale() -> None:
    assert _alike((0.0, 1.5), (0.0, 1.0))
    assert not _alike((0.0, 3.0), (0.0, 1.0)) and not _alike((0.0, 0.3), (0.0, 1.0)) and not _alike((2.0, 3.0), (0.0, 1.0))
