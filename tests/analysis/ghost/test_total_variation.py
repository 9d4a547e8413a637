import numpy as np
import pytest
from ghost_scans import blobs, hadamard_masks, scan_of

from analysis.ghost import make_reconstructor, reconstruct
from analysis.imaging.gradient import gradient, gradient_adjoint, total_variation
from analysis.metrics import psnr


def objective(image, scan, weight, row=1.0):
    residual = scan.masks.reshape(len(scan.masks), -1).astype(float) @ image.ravel().astype(float) - scan.buckets
    return 0.5 * np.sum(row * residual**2) + weight * total_variation(image.astype(float))


def primal_dual(scan, weight, nonnegative, row=1.0, iterations=8000):
    """Eq. 2 by the algorithm of Chambolle and Pock with diagonal steps: slow, short, and shares no code."""
    w = scan.masks.reshape(len(scan.masks), -1).astype(float)
    shape = scan.image.shape
    x = bar = np.zeros(shape)
    p, q = np.zeros(len(w)), np.zeros((2, *shape))
    tau = 1 / (np.abs(w).sum(axis=0).reshape(shape) + 4)
    sigma_p, sigma_q = 1 / np.abs(w).sum(axis=1), 0.5
    row = np.broadcast_to(row, len(w))
    for _ in range(iterations):
        p = (p + sigma_p * (w @ bar.ravel() - scan.buckets)) / (1 + sigma_p / row)
        q = q + sigma_q * np.stack(gradient(bar))
        q /= np.maximum(1, np.sqrt((q**2).sum(axis=0)) / weight)
        new = x - tau * ((p @ w).reshape(shape) + gradient_adjoint(*q))
        if nonnegative:
            new = np.maximum(new, 0)
        bar, x = 2 * new - x, new
    return x


@pytest.fixture(scope="module")
def small():
    return scan_of(blobs((12, 12), seed=3), 60, photons=200, seed=1)


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("weight", [0.05, 0.5, 5.0])
def test_image_is_the_minimum_that_another_algorithm_finds(small, weight, nonnegative):
    reference = primal_dual(small, weight, nonnegative)
    result = reconstruct(
        small.masks, small.buckets, "tv", weight=weight, nonnegative=nonnegative, tolerance=1e-6, max_iterations=9000
    )
    best = objective(reference, small, weight)
    assert objective(result.image, small, weight) == pytest.approx(best, rel=1e-4)
    if weight > 0.1:
        np.testing.assert_allclose(result.image, reference, atol=0.01)
    assert nonnegative is False or result.image.min() >= 0


def test_default_tolerance_is_close_to_the_minimum(scan):
    result = reconstruct(scan.masks, scan.buckets, "tv")
    weight = result.options["weight"]
    converged = reconstruct(scan.masks, scan.buckets, "tv", weight=weight, tolerance=1e-6, max_iterations=5000)
    ratio = objective(result.image, scan, weight) / objective(converged.image, scan, weight)
    assert ratio == pytest.approx(1, abs=1e-3)
    assert np.sqrt(np.mean((result.image - converged.image) ** 2)) < 5e-3


def test_known_errors_weigh_the_squares(small):
    errors = np.random.default_rng(0).uniform(0.5, 3, size=60)
    row = errors**-2 / np.mean(errors**-2)
    result = reconstruct(small.masks, small.buckets, "tv", errors=errors, weight=0.5, tolerance=1e-6, max_iterations=9000)
    reference = primal_dual(small, 0.5, True, row)
    assert objective(result.image, small, 0.5, row) == pytest.approx(objective(reference, small, 0.5, row), rel=1e-4)


@pytest.mark.parametrize("photons", [300, 5])
def test_chosen_weight_is_near_the_best(photons):
    data = scan_of(blobs((32, 32), seed=9), 300, photons=photons, seed=2)
    result = reconstruct(data.masks, data.buckets, "tv")
    chosen = psnr(result.image, data.image, 1)
    others = [
        psnr(
            reconstruct(data.masks, data.buckets, "tv", weight=result.options["weight"] * factor, tolerance=1e-3).image,
            data.image,
            1,
        )
        for factor in (0.1, 0.3, 3, 10)
    ]
    assert chosen > max(others) - 1.0
    assert chosen > psnr(reconstruct(data.masks, data.buckets, "least_squares").image, data.image, 1) + 4


def test_more_realizations_than_pixels_and_hadamard_masks():
    masks, image = hadamard_masks(16), blobs((16, 16), seed=2)
    buckets = masks.reshape(256, -1).astype(float) @ image.ravel()
    twice = reconstruct(np.concatenate([masks, masks]), np.concatenate([buckets, buckets]), "tv")
    assert psnr(twice.image, image, 1) > 30
    assert twice.heldout_loss < 0.01


def test_warm_started_live_estimates_follow_the_final_ones(scan):
    stream = make_reconstructor("tv", shape=(24, 24), expected=300)
    for start in range(0, 300, 20):
        stream.update(scan.masks[start : start + 20], scan.buckets[start : start + 20])
        live = stream.result()
    final = stream.finish()
    assert psnr(live.image, final.image) > 22
    assert abs(psnr(live.image, scan.image, 1) - psnr(final.image, scan.image, 1)) < 1.5


def test_heldout_loss_falls_with_more_realizations():
    data = scan_of(blobs((24, 24), seed=4), 500, photons=1000)
    losses = [reconstruct(data.masks[:number], data.buckets[:number], "tv").heldout_loss for number in (60, 500)]
    assert losses[1] < 0.5 * losses[0] < 0.6


def test_no_weight_is_plain_least_squares_with_non_negativity(small):
    result = reconstruct(small.masks, small.buckets, "tv", weight=0.0)
    assert result.image.min() >= 0
    residual = small.masks.reshape(60, -1) @ result.image.ravel() - small.buckets
    assert np.sum(residual**2) < 1e-3 * np.sum((small.buckets - small.buckets.mean()) ** 2)


def test_spread_is_larger_where_the_image_is_wrong(scan):
    result = reconstruct(scan.masks, scan.buckets, "tv")
    error = np.abs(result.image - scan.image)
    doubtful = result.spread > np.median(result.spread)
    assert error[doubtful].mean() > 2 * error[~doubtful].mean()
