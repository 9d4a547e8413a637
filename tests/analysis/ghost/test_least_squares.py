import numpy as np
import pytest
from ghost_scans import blobs, hadamard_masks, scan_of
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.ghost import make_reconstructor, reconstruct, store
from analysis.ghost.groups import groups_of
from analysis.ghost.kernel import GrowingKernel, without_groups


@given(st.integers(1, 200), st.sampled_from([(3, 5), (8, 8), (11, 7)]), st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_image_is_the_pseudo_inverse(number, shape, seed):
    rng = np.random.default_rng(seed)
    masks = rng.random((number, *shape)).astype(np.float32)
    buckets = rng.random(number)
    flat = masks.reshape(number, -1).astype(float)
    ridge = 1e-6 * np.mean(np.sum(flat[:64] ** 2, axis=1))
    expected = flat.T @ np.linalg.solve(flat @ flat.T + ridge * np.eye(number), buckets)
    image = reconstruct(masks, buckets, "least_squares").image.ravel()
    np.testing.assert_allclose(image, expected, atol=1e-4 * max(1, np.abs(expected).max()))
    if number < 0.7 * flat.shape[1]:
        np.testing.assert_allclose(image, np.linalg.pinv(flat) @ buckets, atol=1e-2 * np.abs(expected).max())


def test_more_noise_free_realizations_than_pixels_give_the_object():
    data = scan_of(blobs((8, 8), seed=1), 300)
    np.testing.assert_allclose(reconstruct(data.masks, data.buckets, "least_squares").image, data.image, atol=1e-3)


def test_repeated_masks_average_their_buckets():
    rng = np.random.default_rng(0)
    masks = rng.random((20, 6, 6)).astype(np.float32)
    low, high = rng.random(20), rng.random(20)
    twice = reconstruct(np.concatenate([masks, masks]), np.concatenate([low, high]), "least_squares").image
    np.testing.assert_allclose(twice, reconstruct(masks, (low + high) / 2, "least_squares").image, atol=1e-3)


def test_dark_masks_before_the_others_change_nothing():
    data = scan_of(blobs((6, 6), seed=1), 30)
    masks = np.concatenate([np.zeros((64, 6, 6), np.float32), data.masks])
    with_dark = reconstruct(masks, np.concatenate([np.ones(64), data.buckets]), "least_squares").image
    np.testing.assert_allclose(with_dark, reconstruct(data.masks, data.buckets, "least_squares").image, atol=1e-3)


def test_orthogonal_masks_give_the_object_exactly():
    masks = hadamard_masks(8)
    image = blobs((8, 8), seed=3)
    buckets = masks.reshape(64, -1).astype(float) @ image.ravel()
    np.testing.assert_allclose(reconstruct(masks, buckets, "least_squares").image, image, atol=1e-3)


def test_kernel_grown_in_blocks_factors_the_whole_kernel():
    masks = np.random.default_rng(0).random((150, 40)).astype(np.float32)
    kernel = GrowingKernel(1e-3)
    for start in range(0, 150, 64):
        kernel.extend(masks[start : start + 64], masks[:start])
    wide = masks.astype(float)
    ridge = 1e-3 * np.mean(np.sum(wide[:64] ** 2, axis=1))
    expected = wide @ wide.T + ridge * np.eye(150)
    np.testing.assert_allclose(kernel.factor @ kernel.factor.T, expected, rtol=1e-9)
    np.testing.assert_allclose(kernel.inverse() @ expected, np.eye(150), atol=1e-7)


def test_leaving_a_group_out_equals_solving_without_it():
    rng = np.random.default_rng(1)
    root = rng.random((30, 60))
    matrix = root @ root.T + 0.1 * np.eye(30)
    buckets, group = rng.random(30), np.array([2, 3, 11, 29])
    rest = np.delete(np.arange(30), group)
    inverse = np.linalg.inv(matrix)
    without, residual = without_groups(inverse, inverse @ buckets, group)
    solved = np.linalg.solve(matrix[np.ix_(rest, rest)], buckets[rest])
    np.testing.assert_allclose(without[rest], solved, rtol=1e-8)
    np.testing.assert_array_equal(without[group], 0.0)
    np.testing.assert_allclose(residual, buckets[group] - matrix[np.ix_(group, rest)] @ solved, rtol=1e-8)


def test_heldout_loss_is_that_of_images_without_the_bucket(scan):
    result = reconstruct(scan.masks, scan.buckets, "least_squares", seed=5)
    groups, missed, spans = groups_of(5, 300), 0.0, 0.0
    for group in range(8):
        held = groups == group
        image = reconstruct(scan.masks[~held], scan.buckets[~held], "least_squares").image
        residual = scan.buckets[held] - (scan.masks[held] * image).sum(axis=(1, 2))
        missed += np.sum((residual - residual.mean()) ** 2)
        spans += np.sum((scan.buckets[held] - scan.buckets[held].mean()) ** 2)
    assert result.heldout_loss == pytest.approx(missed / spans, rel=1e-3)


@pytest.mark.parametrize("most", [2048, 0])
def test_heldout_loss_with_poisson_errors_is_near_that_without(most, monkeypatch):
    monkeypatch.setattr(store, "MOST_REALIZATIONS", most)
    rng = np.random.default_rng(1)
    image, masks = 0.5 * blobs((16, 16), seed=4), (rng.random((400, 16, 16)) < 0.5).astype(np.uint8)
    counts = rng.poisson((masks * image).sum(axis=(1, 2)) * 10)
    poisson, none = (reconstruct(masks, counts, "least_squares", errors=errors).heldout_loss for errors in ("poisson", None))
    assert poisson == pytest.approx(none, rel=0.3)


def test_spread_is_the_error_where_there_are_realizations_enough():
    image = blobs((8, 8), seed=2)
    scans = [scan_of(image, 600, photons=50, seed=seed) for seed in range(4)]
    results = [reconstruct(data.masks, data.buckets, "least_squares") for data in scans]
    error = np.sqrt(np.mean([(result.image - image) ** 2 for result in results]))
    # somewhat above: a group less makes the images of the jackknife noisier than in proportion
    assert 1.0 < np.sqrt(np.mean([result.spread**2 for result in results])) / error < 1.4


def test_live_estimate_equals_the_final_one(scan):
    stream = make_reconstructor("least_squares", shape=(24, 24))
    for start in range(0, 300, 50):
        stream.update(scan.masks[start : start + 50], scan.buckets[start : start + 50])
        live = stream.result()
    assert live.image.tobytes() == stream.finish().image.tobytes()
