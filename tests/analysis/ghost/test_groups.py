import numpy as np
import pytest

from analysis.ghost.groups import BLOCK, GROUPS, groups_of, jackknife_spread


def test_groups_are_balanced_in_every_block_and_repeat_with_the_seed():
    groups = groups_of(3, 5 * BLOCK)
    for block in groups.reshape(5, BLOCK):
        np.testing.assert_array_equal(np.bincount(block), BLOCK // GROUPS)
    np.testing.assert_array_equal(groups_of(3, 100), groups[:100])
    assert not np.array_equal(groups_of(4, 100), groups[:100])
    assert len(groups_of(0, 0)) == 0


def test_groups_do_not_follow_the_order_of_the_masks():
    groups = groups_of(0, 64 * 50)
    for period in (2, 4, 8, 16):
        share = [np.mean(groups[start::period] % 2) for start in range(period)]
        np.testing.assert_allclose(share, 0.5, atol=0.12)


def test_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(size=(200, 500))
    without = (values.sum(axis=0) - values) / 199
    np.testing.assert_allclose(jackknife_spread(without), values.std(axis=0, ddof=1) / np.sqrt(200), rtol=1e-9)
    assert jackknife_spread(without).mean() == pytest.approx(1 / np.sqrt(200), rel=0.02)
    assert np.isnan(jackknife_spread(without[:1])).all()
