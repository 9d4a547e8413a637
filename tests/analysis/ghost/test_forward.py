import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.ghost import MaskOperator
from analysis.imaging.gradient import ScreenedPoisson, gradient, gradient_adjoint, total_variation

sizes = st.integers(1, 11)


def test_bucket_is_the_sum_over_the_mask():
    masks = np.zeros((2, 2, 3), dtype=bool)
    masks[0, 0, 1] = masks[1, 1, 2] = masks[1, 0, 0] = True
    image = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(MaskOperator(masks).forward(image), [1.0, 5.0])


def test_wrong_shapes_are_named():
    operator = MaskOperator(np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        operator.forward(np.ones((4, 3)))
    with pytest.raises(ValueError, match="2 buckets"):
        operator.adjoint(np.ones(3))
    with pytest.raises(ValueError, match="realizations, height, width"):
        MaskOperator(np.ones((2, 12)))


@given(sizes, sizes, st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_screened_poisson_inverts_the_operator(height, width, seed):
    image = np.random.default_rng(seed).normal(size=(height, width))
    applied = gradient_adjoint(*gradient(image)) + 0.7 * image
    np.testing.assert_allclose(ScreenedPoisson((height, width), 0.7).solve(applied), image, atol=1e-12)


def test_total_variation_of_a_step_is_its_height_times_its_length():
    image = np.zeros((5, 7))
    image[:, 3:] = 2.0
    assert total_variation(image) == pytest.approx(10.0)
