import numpy as np
import pytest
from ghost_scans import scan_of
from scipy import fft

from analysis.ghost import reconstruct, smooth_field
from analysis.ghost.masks import MaskRows, Masks
from analysis.ghost.smooth_field import SmoothField
from analysis.metrics import psnr

SHAPE = (14, 20)


def hills(shape, seed=0):
    """Smooth hills of mean 0."""
    random = np.random.default_rng(seed)
    fall = 1 / (1 + 40 * np.hypot(*np.meshgrid(*(np.arange(n) / (2 * n) for n in shape), indexing="ij"))) ** 3
    image = fft.idctn(random.normal(size=shape) * fall, norm="ortho")
    return (image - image.mean()) / image.std()


def residuals(image, number, noise, seed=0):
    """Masks (M, N), residuals (M,) and row weights (M,) of an object that a flat image of another level was taken off."""
    random = np.random.default_rng(seed)
    masks = np.abs(random.normal(size=(number, image.size))).astype(np.float32)
    row = random.uniform(0.5, 1.5, number)
    row /= row.mean()
    return masks, masks @ image.reshape(-1) + noise * random.normal(size=number) / np.sqrt(row), row


def test_a_smooth_object_is_found_in_noise_that_hides_it():
    image = hills(SHAPE)
    masks, values, row = residuals(image, 150, noise=12.0)
    found = SmoothField(masks, row, SHAPE).expected(values)
    assert np.corrcoef(found.ravel(), image.ravel())[0, 1] > 0.85
    assert np.mean((found - image) ** 2) < 0.35 * np.mean(image**2)


@pytest.mark.parametrize("seed", range(5))
def test_next_to_nothing_is_found_in_noise(seed):
    masks, values, row = residuals(np.zeros(SHAPE), 150, noise=1.0, seed=seed)
    contrast = 1 / np.sqrt(masks.var() * image_size())
    assert SmoothField(masks, row, SHAPE).expected(values).std() < 0.2 * contrast


def image_size():
    return SHAPE[0] * SHAPE[1]


def test_a_level_is_found_exactly():
    masks, values, row = residuals(np.full(SHAPE, 3.0), 50, noise=0.0)
    np.testing.assert_allclose(SmoothField(masks, row, SHAPE).expected(values), 3.0, rtol=1e-5)


def test_the_field_is_the_one_that_is_likeliest_given_its_covariance(monkeypatch):
    length, variance = 4.0, 0.3
    monkeypatch.setattr(smooth_field, "_LENGTHS", (length,))
    monkeypatch.setattr(smooth_field, "_VARIANCES", np.array([variance]))
    masks, values, row = residuals(hills(SHAPE), 200, noise=0.5)
    found = SmoothField(masks, row, SHAPE).expected(values)

    # minimise |values - W d - c W 1|^2_row + |d|^2 / prior over the cosines d and the level c
    cosines = fft.idctn(np.eye(image_size()).reshape(-1, *SHAPE), axes=(1, 2), norm="ortho").reshape(-1, image_size())[1:]
    modes, sums = masks.astype(float) @ cosines.T, masks.sum(axis=1, dtype=float)[:, None]
    root = np.sqrt(row)[:, None]
    apart = modes - sums * ((root * sums).T @ (root * modes)) / ((root * sums) ** 2).sum()
    k = np.hypot(*np.meshgrid(*(np.arange(n) / (2 * n) for n in SHAPE), indexing="ij")).ravel()[1:]
    prior = (1 + (2 * np.pi * length * k) ** 2) ** -1.5
    prior *= variance / prior.mean() / ((root * apart) ** 2).sum(axis=0).mean()
    system = np.block([[root * modes, root * sums], [np.diag(prior**-0.5), np.zeros((len(prior), 1))]])
    (*d, c), *_ = np.linalg.lstsq(system, np.concatenate([root[:, 0] * values, np.zeros(len(prior))]), rcond=None)
    np.testing.assert_allclose(found.ravel(), np.array(d) @ cosines + c, atol=2e-4 * found.std())


def test_masks_of_large_problems_give_the_same_field():
    masks, values, row = residuals(hills(SHAPE), 300, noise=3.0)
    kept = Masks(image_size())
    kept.append(masks)
    chosen = np.arange(0, 300, 2)
    large = SmoothField(MaskRows(kept, chosen), row[chosen], SHAPE).expected(values[chosen])
    np.testing.assert_allclose(large, SmoothField(masks[chosen], row[chosen], SHAPE).expected(values[chosen]), atol=1e-4)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_of_masks_and_buckets_do_not_matter(unit):
    masks, values, row = residuals(hills(SHAPE), 100, noise=3.0)
    usual = SmoothField(masks, row, SHAPE).expected(values)
    np.testing.assert_allclose(SmoothField(masks, row, SHAPE).expected(values * unit) / unit, usual, rtol=1e-6)
    scaled = SmoothField(masks * np.float32(unit), row, SHAPE).expected(values)
    np.testing.assert_allclose(scaled * unit, usual, atol=1e-4 * usual.std())


def test_nothing_is_found_where_nothing_can_be():
    masks, values, row = residuals(hills(SHAPE), 30, noise=3.0)
    assert not SmoothField(masks, row, SHAPE).expected(np.zeros(30)).any()
    alike = np.repeat(masks[:1], 30, axis=0)
    assert SmoothField(alike, row, SHAPE).expected(values).std() == 0
    assert SmoothField(np.zeros_like(masks), row, SHAPE).expected(values).std() == 0


def test_images_that_noise_makes_flat_get_their_hills_back():
    image = 0.5 + 0.15 * hills((24, 24), seed=1)
    data = scan_of(image, 200, photons=2, seed=3)
    with_it, without = (
        reconstruct(data.masks, data.buckets, "n2g", steps=60, features=8, smooth_rest=wanted) for wanted in (True, False)
    )
    assert psnr(with_it.image, image, 1) > psnr(without.image, image, 1) + 1
    assert with_it.options["smooth_rest"] is True
