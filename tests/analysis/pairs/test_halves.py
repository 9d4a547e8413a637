"""Halves of a frame: how they lie on each other, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pair_runs import halves, scene

from analysis.pairs.halves import NotRegistered, register
from analysis.pairs.prepared import prepared, registered


@pytest.mark.parametrize("offset", [(0.37, -1.21), (-3.5, 0.05), (0.0, 0.0), (6.3, 2.5)])
def test_halves_are_laid_on_each_other_to_some_hundredths_of_a_pixel(offset):
    truth = scene(192, seed=3)
    missed = []
    for seed in range(4):
        a, b = halves(truth, 1000, seed, offset=offset, gain=0.9)
        found = register(a, b)
        missed.append(np.add(found.shift, offset))
    assert np.sqrt(np.mean(np.square(missed))) < 0.03
    assert found.gain == pytest.approx(0.9, rel=0.01)


def test_an_odd_image_is_registered_and_its_edges_count_as_not_measured():
    truth = scene(129, seed=3)[:, :97]
    a, b = halves(truth, 1000, 0, offset=(2.4, -1.3))
    pair = prepared(a, b, registered(a, b))
    assert pair.b.shape == (129, 97)
    assert not pair.measured[:3].any() and not pair.measured[:, -2:].any() and pair.measured[5:-5, 5:-5].all()
    inside = pair.measured
    noise = (pair.a - pair.b)[inside]
    assert noise.std() == pytest.approx(np.sqrt(2 * (1000 * truth[inside].mean() + 4)), rel=0.05)


def test_what_cannot_be_registered_is_refused():
    rng = np.random.default_rng(0)
    truth = scene(96)
    a, _ = halves(truth, 1000, 0)
    _, other = halves(scene(96, seed=9), 1000, 1)
    with pytest.raises(NotRegistered, match="cannot be laid on each other"):
        register(a, other)
    with pytest.raises(NotRegistered, match="cannot be laid on each other"):
        register(a, rng.poisson(1000, a.shape))
    with pytest.raises(NotRegistered, match="the second half holds no light"):  # a gain of zero
        register(a, np.zeros_like(a))
    with pytest.raises(NotRegistered, match="20x96 pixels are too small: they need 32"):
        register(a[:20], a[:20])


def test_pixels_without_a_measurement_are_filled_and_do_not_count():
    truth = scene(96)
    a, b = halves(truth, 1000, 0, offset=(0.4, 0.3))
    whole = registered(a, b)
    a[50], a[3, 4], b[:, 70] = np.nan, np.nan, 0.0  # a line and a pixel that are no numbers, a dead line
    found = registered(a, b)
    np.testing.assert_allclose(found.shift, whole.shift, atol=0.05)
    pair = prepared(a, b, found)
    assert np.isfinite(pair.a).all() and np.isfinite(pair.b).all()
    assert not pair.measured[50].any() and not pair.measured[:, 70].any() and not pair.measured[3, 4]
    assert pair.measured.mean() > 0.88
    assert abs(pair.a[50] - 1000 * truth[50]).max() < 400
