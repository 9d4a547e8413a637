"""Masks kept compactly against the same masks as one matrix."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.ghost.masks import MaskRows, Masks, spread_of, sums_of

KINDS = ("bits", "own_values", "whole", "real", "alike", "dark", "bits_then_real")


def masks_of(kind, number, pixels, seed):
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, size=(number, pixels))
    real = rng.normal(size=(number, pixels))
    return {
        "bits": bits * 0.83 + 0.17,
        "own_values": bits * rng.normal(size=(number, 1)) + rng.normal(size=(number, 1)),
        "whole": rng.integers(0, 256, size=(number, pixels)),
        "real": real,
        "alike": np.full((number, pixels), 0.3),
        "dark": np.zeros((number, pixels)),
        "bits_then_real": np.where(np.arange(number)[:, None] < 200, bits, real),
    }[kind].astype(np.float32)


def kept(masks, cuts=()):
    store = Masks(masks.shape[1])
    for part in np.split(masks, sorted(cuts)):
        store.append(part)
    return store


cases = given(
    kind=st.sampled_from(KINDS), number=st.integers(1, 300), pixels=st.sampled_from([1, 7, 8, 65, 2500]), seed=st.integers(0, 3)
)


@cases
@settings(max_examples=40, deadline=None)
def test_products_are_those_of_the_matrix(kind, number, pixels, seed):
    rng = np.random.default_rng(seed)
    masks = masks_of(kind, number, pixels, seed)
    store, wide = kept(masks), masks.astype(np.float64)
    images, coefficients = rng.random((3, pixels)), rng.normal(size=(2, number))
    size = np.abs(wide).max() + 1e-9
    np.testing.assert_array_equal(store.dense(), masks)
    np.testing.assert_array_equal(store.dense(number // 3, number // 2), masks[number // 3 : number // 2])
    np.testing.assert_allclose(store.forward(images), images @ wide.T, atol=1e-6 * size * pixels)
    np.testing.assert_allclose(store.adjoint(coefficients), coefficients @ wide, atol=1e-6 * size * number)
    np.testing.assert_allclose(store.sums, wide.sum(axis=1), rtol=1e-12, atol=1e-12 * size * pixels)
    np.testing.assert_allclose(store.squares, (wide**2).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(store.total, wide.sum(axis=0), rtol=1e-12, atol=1e-12 * size * number)


@cases
@settings(max_examples=20, deadline=None)
def test_no_bit_depends_on_batches(kind, number, pixels, seed):
    masks = masks_of(kind, number, pixels, seed)
    whole, cut = kept(masks), kept(masks, np.random.default_rng(seed).integers(0, number + 1, size=5))
    images, coefficients = np.ones((1, pixels)) * 0.7, np.linspace(-1, 2, number)[None]
    assert whole.forward(images).tobytes() == cut.forward(images).tobytes()
    assert whole.adjoint(coefficients).tobytes() == cut.adjoint(coefficients).tobytes()
    assert whole.total.tobytes() == cut.total.tobytes()


def test_buckets_that_hardly_differ_keep_their_differences():
    # a level a million times the differences, which single precision alone would lose
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, size=(256, 4096)).astype(np.float32)
    image = 1e6 + rng.normal(size=4096)
    expected = masks.astype(np.float64) @ image - 1e6 * masks.sum(axis=1, dtype=np.float64)
    found = kept(masks).forward(image[None])[0] - 1e6 * masks.sum(axis=1, dtype=np.float64)
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.std())


@pytest.mark.parametrize(("kind", "most"), [("bits", 0.13), ("own_values", 0.13), ("whole", 1.01), ("real", 4.01)])
def test_masks_take_the_memory_of_what_they_tell(kind, most):
    masks = masks_of(kind, 1280, 4096, 0)
    assert len(pickle.dumps(kept(masks))) < most * masks.size + 200_000


def test_some_masks_over_a_unit_are_a_matrix_of_their_own():
    masks = masks_of("bits", 150, 30, 1)
    chosen = np.flatnonzero(np.arange(150) % 7 != 3)
    rows, own = MaskRows(kept(masks), chosen) / 2.5, masks[chosen].astype(np.float64) / 2.5
    assert rows.shape == own.shape
    np.testing.assert_allclose(rows.forward(np.eye(30)), own.T, atol=1e-6)
    np.testing.assert_allclose(rows.adjoint(np.eye(len(chosen))), own, atol=1e-6)
    np.testing.assert_allclose(rows.dense(5, 20), own[5:20], rtol=1e-6)
    np.testing.assert_allclose(sums_of(rows), own.sum(axis=1))
    np.testing.assert_allclose(rows.squares, (own**2).sum(axis=1))
    assert spread_of(rows) == pytest.approx(own.var(axis=0).mean(), rel=1e-5)
