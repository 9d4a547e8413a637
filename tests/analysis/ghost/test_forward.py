import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.ghost import MaskOperator
from analysis.ghost.gradient import ScreenedPoisson, gradient, gradient_adjoint, total_variation

sizes = st.integers(1, 11)


@given(sizes, sizes, sizes, st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_forward_model_passes_the_adjoint_test(number, height, width, seed):
    rng = np.random.default_rng(seed)
    operator = MaskOperator(rng.normal(size=(number, height, width)).astype(np.float32))
    image, buckets = rng.normal(size=(height, width)), rng.normal(size=number)
    left, right = operator.forward(image) @ buckets, np.vdot(image, operator.adjoint(buckets))
    assert left == pytest.approx(right, rel=1e-12, abs=1e-12)


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
def test_gradient_passes_the_adjoint_test(height, width, seed):
    rng = np.random.default_rng(seed)
    image, edges = rng.normal(size=(2, height, width)), rng.normal(size=(2, 2, height, width))
    left = sum(np.vdot(got, edge) for got, edge in zip(gradient(image), edges, strict=True))
    assert left == pytest.approx(np.vdot(image, gradient_adjoint(*edges)), rel=1e-12, abs=1e-12)


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
