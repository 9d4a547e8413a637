import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.metrics import cnr, frc, frc_resolution, mse, psnr, rsd, ssim


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def smooth(image, width):
    """Image times a Gaussian in Fourier space: 1/e at the frequency 1 / (pi width)."""
    fy, fx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None, :]
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(-((np.pi * width) ** 2) * (fy**2 + fx**2))).real


def test_mse_and_psnr_follow_their_formulas():
    reference = np.array([[0.0, 2.0], [1.0, 1.0]])
    image = reference + 0.2
    assert mse(image, reference) == pytest.approx(0.04)
    assert psnr(image, reference) == pytest.approx(10 * np.log10(4 / 0.04))
    assert psnr(image, reference, data_range=1) == pytest.approx(10 * np.log10(1 / 0.04))
    assert psnr(reference, reference) == np.inf


def test_integer_images_do_not_wrap_around():
    assert mse(np.array([[1, 3]], dtype=np.uint8), np.array([[3, 1]], dtype=np.uint8)) == 4.0


def test_ssim_is_one_for_equal_images_and_falls_with_noise():
    reference = smooth(noise((32, 40)), 2)
    values = [ssim(reference + level * noise((32, 40), 1), reference) for level in (0, 0.02, 0.2)]
    assert values[0] == pytest.approx(1.0)
    assert values[0] > values[1] > values[2]


@pytest.mark.parametrize("shape", [(3, 3), (4, 9), (7, 7), (11, 64)])
def test_ssim_takes_small_images(shape):
    reference = noise(shape)
    assert ssim(reference, reference) == pytest.approx(1.0)
    assert ssim(reference + noise(shape, 1), reference) < 0.9


def test_frc_of_an_image_with_itself_is_one_up_to_nyquist():
    frequency, correlation, number = frc(noise((32, 32)), noise((32, 32)))
    np.testing.assert_allclose(correlation, 1.0)
    assert frequency[0] == pytest.approx(np.mean([1 / 32] * 4 + [2**0.5 / 32] * 4), rel=1e-9)
    assert frequency[-1] <= 0.5 + 0.5 / 32
    assert number[0] == 8
    assert frc_resolution(noise((32, 32)), noise((32, 32))) == 2.0


def test_frc_of_independent_noise_has_no_resolution():
    values = [frc_resolution(noise((64, 64), 2 * seed), noise((64, 64), 2 * seed + 1)) for seed in range(20)]
    # a crossing at the coarsest rings is chance
    assert all(np.isnan(value) or value > 12 for value in values)


def test_frc_resolution_finds_the_frequency_where_signal_drowns_in_noise():
    size = 256
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :]
    cut = np.hypot(fy, fx) < 0.125
    signal = np.fft.ifft2(np.fft.fft2(noise((size, size))) * cut).real
    first, second = (signal + 0.02 * noise((size, size), seed) for seed in (1, 2))
    assert frc_resolution(first, second) == pytest.approx(8.0, rel=0.03)
    assert frc_resolution(first, second, "1/7") == pytest.approx(8.0, rel=0.03)


@given(st.integers(1, 13), st.integers(1, 13), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_frc_takes_any_size(height, width, seed):
    frequency, correlation, number = frc(noise((height, width), seed), noise((height, width), seed + 1))
    assert len(frequency) == len(correlation) == len(number)
    assert np.all(np.abs(correlation) <= 1 + 1e-9)
    assert np.all(np.diff(frequency) > 0)
    resolution = frc_resolution(noise((height, width), seed), noise((height, width), seed + 1))
    assert np.isnan(resolution) or resolution >= 1.9


def test_frc_of_flat_images_is_zero_not_nan():
    _, correlation, _ = frc(np.ones((8, 8)), np.ones((8, 8)))
    assert np.all(correlation == 0)
    assert np.isnan(frc_resolution(np.ones((8, 8)), np.ones((8, 8))))


def test_cnr_follows_the_papers_formula():
    image = np.array([[1.0, 3.0, 0.0, 2.0]])
    bright = np.array([[True, True, False, False]])
    assert cnr(image, bright) == pytest.approx((2 - 1) / np.sqrt(1 + 1))
    assert cnr(image, bright, np.array([[False, False, True, False]])) == pytest.approx(2.0)
    assert cnr(np.array([[1.0, 0.0]]), np.array([[True, False]])) == np.inf
    assert cnr(np.ones((1, 2)), np.array([[True, False]])) == 0.0


def test_rsd_is_the_deviation_over_the_mean():
    assert rsd(np.array([[1.0, 3.0]])) == pytest.approx(0.5)
    assert rsd(np.array([[1.0, 3.0, 100.0]]), np.array([[True, True, False]])) == pytest.approx(0.5)
    assert rsd(np.zeros((2, 2))) == np.inf


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_pixel_that_is_no_number_makes_the_figure_nan(bad):
    broken, whole = smooth(noise((16, 16)), 2), smooth(noise((16, 16)), 2)
    broken[3, 4] = bad
    figures = [
        *(figure(*pair) for figure in (mse, psnr, ssim, frc_resolution) for pair in ((broken, whole), (whole, broken))),
        rsd(broken),
        cnr(broken, whole > 0),
    ]
    assert np.isnan(figures).all()
    assert np.isnan(frc(broken, whole)[1]).all()


def test_agreement_does_not_depend_on_the_unit():
    first, second = noise((16, 16), 1), noise((16, 16), 1) + noise((16, 16), 2)
    assert frc_resolution(1e200 * first, 1e-200 * second) == pytest.approx(frc_resolution(first, second))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mse(np.ones((2, 2)), np.ones((2, 3))), r"\(2, 2\) and \(2, 3\)"),
        (lambda: mse(np.ones(4), np.ones(4)), "height, width"),
        (lambda: psnr(np.zeros((2, 2)), np.ones((2, 2))), "data_range"),
        (lambda: psnr(np.eye(2), np.ones((2, 2)), data_range=-1), "above 0, not -1"),
        (lambda: ssim(np.eye(4), np.ones((4, 4)), data_range=np.inf), "above 0, not inf"),
        (lambda: mse(np.ones((0, 2)), np.ones((0, 2))), "one pixel at least"),
        (lambda: mse(1j * np.eye(2), np.eye(2)), "real numbers, not complex"),
        (lambda: rsd(np.ma.masked_less(np.eye(2), 0.5)), "masked"),
        (lambda: ssim(np.zeros((2, 2)), np.eye(2)), "3 x 3"),
        (lambda: frc_resolution(np.eye(4), np.eye(4), "2-sigma"), "half-bit"),
        (lambda: cnr(np.eye(2), np.ones((2, 2), bool)), "one dark pixel"),
        (lambda: cnr(np.eye(2), np.ones((2, 3), bool)), "image's shape"),
        (lambda: rsd(np.eye(2), np.zeros((2, 2), bool)), "at least one pixel"),
    ],
)
def test_senseless_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
