"""GIDC, implicit neural representations and Noise2Inverse: the networks that Noise2Ghost is compared with."""

import numpy as np
import pytest
import torch
from ghost_scans import blobs, in_short_time, scan_of

from analysis.ghost import make_reconstructor, reconstruct
from analysis.ghost.n2i import Noise2Inverse
from analysis.ghost.objective import ImageTargets, Units
from analysis.ghost.splits import pseudo_inverse, split
from analysis.imaging.sinusoidal import SinusoidalNetwork, coordinates
from analysis.metrics import psnr

SMALL = {
    "gidc": {"steps": 200, "features": 8},
    "inr": {"steps": 200, "features": 64, "embeddings": 64, "learning_rate": 3e-3},
    "n2i": {"steps": 200, "features": 8},
}


def network(seed=0):
    return SinusoidalNetwork(16, 3, 8, 4.0, torch.Generator().manual_seed(seed))


def test_sinusoidal_network_has_the_published_size():
    published = SinusoidalNetwork(512, 3, 256, 4.0, torch.Generator().manual_seed(0))
    assert [tuple(layer.weight.shape) for layer in published.layers] == [(512, 512), (512, 512), (1, 512)]
    assert published.frequencies.shape == (2, 256)


@pytest.mark.parametrize("shape", [(8, 8), (5, 13), (1, 7)])
def test_sinusoidal_network_gives_one_value_a_pixel(shape):
    places = torch.tensor(coordinates(shape)[None], dtype=torch.float32)
    values = network()(places)
    assert values.shape == (1, 1, *shape)
    one = network()(places[..., -1:, -1:])
    torch.testing.assert_close(one[0, 0, 0, 0], values[0, 0, -1, -1])


def test_coordinates_are_centred_with_square_pixels():
    places = coordinates((3, 5))
    np.testing.assert_allclose(places[0, :, 0], [-0.2, 0, 0.2])
    np.testing.assert_allclose(places[1, 0], [-0.4, -0.2, 0, 0.2, 0.4])


def test_first_weights_follow_the_seed_and_leave_torchs_own_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    same, again, other = network(1), network(1), network(2)
    torch.testing.assert_close(torch.rand(3), expected)
    assert all(torch.equal(one, two) for one, two in zip(same.parameters(), again.parameters(), strict=True))
    assert torch.equal(same.frequencies, again.frequencies)
    assert not torch.equal(same.frequencies, other.frequencies)


def test_input_of_gidc_is_the_pseudo_inverse_of_all_realizations():
    data = scan_of(blobs((9, 8), seed=1), 41)
    flat = data.masks.reshape(41, -1)
    image = pseudo_inverse(flat, data.buckets)
    np.testing.assert_allclose(image, np.linalg.pinv(flat.astype(float)) @ data.buckets, atol=1e-3)


def test_targets_of_n2i_are_the_means_of_the_other_splits():
    data = scan_of(blobs((9, 8), seed=1), 41)
    flat, row = data.masks.reshape(41, -1), np.ones(41)
    units = Units.of(flat, data.buckets, row)
    method = Noise2Inverse((9, 8), splits=3, permutations=2)
    inputs, targets = method._views(flat, data.buckets, row, units, live=False)
    images = split(flat, data.buckets, 3, 2, np.random.default_rng((0, 2))).images.reshape(6, 9, 8)
    assert isinstance(targets, ImageTargets)
    assert inputs.shape == (6, 1, 9, 8)
    np.testing.assert_allclose(targets.images[0] * units.contrast, (images[1] + images[2]) / 2)
    np.testing.assert_allclose(targets.images[5] * units.contrast, (images[3] + images[4]) / 2)


@pytest.mark.parametrize("method", SMALL)
def test_training_beats_least_squares_by_far(method):
    # as many realizations as pixels, or N2I has hardly anything to learn from
    data = scan_of(blobs((20, 20), seed=4), 400 if method == "n2i" else 170, photons=200, seed=1)
    result = reconstruct(data.masks, data.buckets, method, **SMALL[method])
    linear = reconstruct(data.masks, data.buckets, "least_squares")
    assert psnr(result.image, data.image, 1) > psnr(linear.image, data.image, 1) + 4
    assert result.heldout_loss < 0.6
    assert result.image.min() >= 0


@pytest.mark.parametrize("method", ["gidc", "inr"])
def test_object_that_may_be_negative_is_reconstructed_negative(method):
    image = blobs((16, 16), seed=4) - 0.5
    data = scan_of(image, 200, seed=1)
    result = reconstruct(data.masks, data.buckets, method, nonnegative=False, **SMALL[method])
    assert result.image.min() < -0.3
    assert np.corrcoef(result.image.ravel(), image.ravel())[0, 1] > 0.8


@pytest.mark.parametrize("method", ["gidc", "inr"])
def test_live_training_goes_on_from_the_last_result(method):
    data = scan_of(blobs((16, 16), seed=4), 160, photons=500, seed=1)
    stream = make_reconstructor(method, shape=(16, 16), **(SMALL[method] | {"live_steps": 40}))
    quality = []
    for start in range(0, 160, 40):
        stream.update(data.masks[start : start + 40], data.buckets[start : start + 40])
        quality.append(psnr(stream.result().image, data.image, 1))
    assert quality[-1] > quality[0] + 1.5


@pytest.mark.parametrize("method", SMALL)
def test_time_budget_takes_steps_off_and_says_so(method):
    data = scan_of(blobs((12, 12), seed=5), 60, photons=500, seed=1)
    options = {"inr": {"features": 8, "embeddings": 4}}.get(method, {"features": 4, "levels": 1})
    result = in_short_time(data, method, steps=1_000_000, **options)
    assert 50 <= result.options["steps"] < 1_000_000


@pytest.mark.parametrize(("method", "share"), [("n2g", 0.5), ("gidc", 2.0), ("inr", 1.0)])
def test_weight_is_a_share_of_that_of_total_variation_alone_and_can_be_given_back(method, share):
    data = scan_of(blobs((16, 16), seed=4), 120, photons=100, seed=1)
    told = []
    options = {"steps": 30} | ({"features": 8, "embeddings": 4} if method == "inr" else {"features": 4, "levels": 2})
    result = reconstruct(data.masks, data.buckets, method, progress=told.append, **options)
    alone = reconstruct(data.masks, data.buckets, "tv").options["weight"]
    assert np.isclose(result.options["weight"], share * alone, rtol=1e-2)
    assert told == sorted(told)
    again = reconstruct(data.masks, data.buckets, method, **result.options)
    assert again.image.tobytes() == result.image.tobytes()
