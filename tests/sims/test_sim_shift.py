import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sims.shift import shifted

offsets = st.floats(-20, 20)
slopes = st.floats(0, 1)


def image(seed=0, shape=(6, 5)):
    return np.random.default_rng(seed).random(shape)


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_whole_pixels_move_as_they_are(dy, dx):
    framed = np.pad(image(), 3)
    np.testing.assert_allclose(shifted(framed, (dy, dx), outside=0.0), np.roll(framed, (dy, dx), (0, 1)), atol=1e-12)


def test_a_point_moves_towards_larger_coordinates():
    point = np.zeros((5, 5))
    point[2, 2] = 1
    moved = shifted(point, (0.25, 1.0), outside=0.0)
    assert moved[2, 3] == pytest.approx(0.75) and moved[3, 3] == pytest.approx(0.25)


@given(offsets, offsets, slopes)
def test_nothing_is_brighter_or_darker_than_before(dy, dx, slope):
    moved = shifted(image(), (dy, dx), slope)
    assert image().min() - 1e-9 <= moved.min() and moved.max() <= image().max() + 1e-9


@given(offsets, offsets, slopes)
def test_a_flat_image_stays_flat(dy, dx, slope):
    np.testing.assert_allclose(shifted(np.full((4, 7), 0.3), (dy, dx), slope), 0.3)
    np.testing.assert_allclose(shifted(np.full((4, 7), 0.3), (dy, dx), slope, outside=0.3), 0.3)


@given(st.floats(-2, 2), st.floats(-2, 2), slopes)
def test_all_light_is_kept_as_long_as_it_stays_inside(dy, dx, slope):
    framed = np.pad(image(), 4)
    assert shifted(framed, (dy, dx), slope, outside=0.0).sum() == pytest.approx(framed.sum())


@given(st.floats(-1, 1), slopes)
def test_the_weights_are_what_fine_sampling_gives(offset, slope):
    row = image(1, (1, 8))
    fine = 400
    x = (np.arange(8 * fine) + 0.5) / fine - offset
    smear = (np.arange(100) + 0.5 - 50) / 100 * slope
    sampled = np.mean([row[0, np.clip(np.floor(x - s), 0, 7).astype(int)] for s in smear], axis=0)
    np.testing.assert_allclose(shifted(row, (0.0, offset), slope)[0], sampled.reshape(8, fine).mean(axis=1), atol=5e-3)


def test_without_an_outside_the_border_goes_on():
    np.testing.assert_allclose(shifted(image(), (100.0, 0.0)), np.repeat(image()[:1], 6, axis=0))
    np.testing.assert_allclose(shifted(image(), (100.0, 0.0), outside=0.7), 0.7)
