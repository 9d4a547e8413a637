"""Where a step scan goes, and what an overlap and a dose ask for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from beamline.frames.values import ZonePlate
from plans.ptycho_patterns import PATTERNS, scan_places
from plans.sampling import exposure_for_dose, places_at_most_apart, step_for_overlap

span = st.tuples(st.floats(-20, 20), st.floats(1, 10)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@pytest.mark.parametrize("pattern", PATTERNS)
@given(y_um=span, x_um=span, step_um=st.floats(0.5, 3.0), seed=st.integers(0, 2**32))
def test_places_lie_within_the_range_and_each_stands_for_the_square_of_the_step(pattern, y_um, x_um, step_um, seed):
    places = scan_places(pattern, y_um, x_um, step_um, seed)
    for column, (low, high) in zip(places.T, (y_um, x_um), strict=True):
        assert low - 1e-9 <= column.min() and column.max() <= high + 1e-9
    height, width = y_um[1] - y_um[0], x_um[1] - x_um[0]
    inner, outer = (height / step_um - 1) * (width / step_um - 1), (height / step_um + 1.5) * (width / step_um + 1.5)
    assert inner * 0.9 - 2 <= len(places) <= outer * 1.1 + 1
    np.testing.assert_array_equal(places, scan_places(pattern, y_um[::-1], x_um, step_um, seed))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_part_of_the_area_is_left_out_and_no_place_is_visited_twice(pattern):
    places = scan_places(pattern, (-5.0, 5.0), (-5.0, 5.0), 0.5, 0)
    everywhere = np.stack(np.meshgrid(*[np.linspace(-4.5, 4.5, 50)] * 2), axis=-1).reshape(-1, 2)
    assert cKDTree(places).query(everywhere)[0].max() < 1.25 * 0.5
    assert cKDTree(places).query(places, k=2)[0][:, 1].min() > 0.01


def test_the_jitter_follows_the_seed_and_lines_run_back_and_forth():
    first, again, other = (scan_places("jittered_grid", (0, 4), (0, 4), 1.0, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert len(first) == 25 and not np.array_equal(first, other)
    assert np.all(np.diff(first[:5, 1]) > 0) and np.all(np.diff(first[5:10, 1]) < 0)


def test_the_beam_of_the_paper_and_the_step_of_an_overlap():
    beam_um = ZonePlate(400.0, 200.0, 160.0, 8.0).beam_um(11.1)
    assert beam_um == pytest.approx(4.47 + 0.24, abs=0.01)  # 8 mm times wavelength / 200 nm, and the focus
    assert ZonePlate(400.0, 200.0, 160.0, -8.0).beam_um(11.1) == beam_um
    step = step_for_overlap(0.75, beam_um)
    assert step == pytest.approx(beam_um / 4)
    assert places_at_most_apart(-2, 2, step) == 5 and places_at_most_apart(2, -2, 1.0) == 5
    assert places_at_most_apart(0, 0.3, 0.1) == 4  # whatever 0.3 / 0.1 is in binary


def test_a_dose_is_flux_times_exposure_over_the_area_of_a_place():
    assert exposure_for_dose(1e6, 4e7, (0.1, 0.2)) == pytest.approx(1e6 * 0.02 / 4e7)
