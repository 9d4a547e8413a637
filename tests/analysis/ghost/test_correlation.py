import numpy as np
import pytest
from ghost_scans import blobs, hadamard_masks, scan_of

from analysis.ghost import reconstruct


def averages(masks, buckets):
    flat = masks.reshape(len(masks), -1).astype(float)
    return flat, flat.sum(axis=1), flat.var(axis=0).mean()


def test_correlation_is_the_covariance_over_the_masks_variance(scan):
    w, _, variance = averages(scan.masks, scan.buckets)
    y = scan.buckets
    expected = ((y[:, None] * w).mean(axis=0) - y.mean() * w.mean(axis=0)) / variance
    image = reconstruct(scan.masks, y, "correlation").image
    np.testing.assert_allclose(image.ravel(), expected, rtol=1e-5, atol=1e-5)


def test_differential_takes_off_what_follows_the_mask_sum(scan):
    w, R, variance = averages(scan.masks, scan.buckets)
    y = scan.buckets
    level = (y * R).mean() / (R**2).mean()
    expected = level + ((y[:, None] * w).mean(axis=0) - level * (R[:, None] * w).mean(axis=0)) / variance
    image = reconstruct(scan.masks, y, "differential").image
    np.testing.assert_allclose(image.ravel(), expected, rtol=1e-5, atol=1e-5)


def test_normalised_correlates_buckets_over_mask_sums(scan):
    w, R, variance = averages(scan.masks, scan.buckets)
    y = scan.buckets
    level = (y * R).mean() / (R**2).mean()
    ratio = y / R
    expected = level + R.mean() * ((ratio[:, None] * w).mean(axis=0) - ratio.mean() * w.mean(axis=0)) / variance
    image = reconstruct(scan.masks, y, "normalised").image
    np.testing.assert_allclose(image.ravel(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", ["correlation", "differential"])
def test_all_hadamard_masks_give_the_object_in_its_own_units(method):
    data = hadamard_masks(16)
    image = blobs((16, 16), seed=1)
    buckets = data.reshape(256, -1).astype(float) @ image.ravel()
    result = reconstruct(data, buckets, method).image
    # no mask of the set varies in its first pixel
    np.testing.assert_allclose(result.ravel()[1:], image.ravel()[1:], atol=0.02)


@pytest.mark.parametrize("method", ["correlation", "differential", "normalised"])
def test_noise_falls_with_more_realizations_and_spread_says_how_large_it_is(method):
    image = blobs((12, 12), seed=7)
    errors = []
    for number in (500, 2000):
        scans = [scan_of(image, number, photons=100, seed=seed) for seed in range(4)]
        results = [reconstruct(data.masks, data.buckets, method) for data in scans]
        error = np.sqrt(np.mean([(result.image - image) ** 2 for result in results]))
        assert np.sqrt(np.mean([result.spread**2 for result in results])) == pytest.approx(error, rel=0.15)
        errors.append(error)
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.15)


def test_differential_and_normalised_see_no_fluctuation_of_the_mask_sums():
    rng = np.random.default_rng(0)
    image = np.full((8, 8), 0.7)
    masks = rng.random((400, 8, 8)) * rng.uniform(0.2, 1.0, size=(400, 1, 1))
    buckets = masks.sum(axis=(1, 2)) * 0.7
    for method in ("differential", "normalised"):
        np.testing.assert_allclose(reconstruct(masks, buckets, method).image, image, rtol=1e-5)
    assert reconstruct(masks, buckets, "correlation").image.std() > 0.1


def test_halves_of_noise_free_data_agree_to_the_finest_detail():
    data = scan_of(blobs((12, 12), seed=1), 8000, seed=3)
    assert reconstruct(data.masks, data.buckets, "correlation").figures["frc_resolution_px"] < 4
    noisy = np.random.default_rng(0).normal(size=8000)
    shuffled = reconstruct(data.masks, noisy, "correlation").figures["frc_resolution_px"]
    assert np.isnan(shuffled) or shuffled > 4
