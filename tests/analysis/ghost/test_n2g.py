import numpy as np
import pytest
import torch
from ghost_scans import blobs, in_short_time, scan_of

from analysis.ghost import learned, make_reconstructor, reconstruct
from analysis.ghost.gidc import DeepImagePrior
from analysis.ghost.n2g import Noise2Ghost
from analysis.ghost.splits import split
from analysis.imaging.unet import UNet
from analysis.metrics import psnr


def network(features=24, levels=3, seed=0):
    return UNet(features, levels, torch.Generator().manual_seed(seed))


def test_network_has_the_published_size():
    assert sum(weights.numel() for weights in network().parameters()) == 276_001


@pytest.mark.parametrize("shape", [(64, 64), (13, 7), (8, 9), (42, 87)])
def test_network_keeps_the_image_shape(shape):
    assert network(4)(torch.zeros(1, 1, *shape)).shape == (1, 1, *shape)


def test_first_weights_follow_the_seed_and_leave_torchs_own_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    same, again, other = network(4, seed=1), network(4, seed=1), network(4, seed=2)
    torch.testing.assert_close(torch.rand(3), expected)
    assert all(torch.equal(one, two) for one, two in zip(same.parameters(), again.parameters(), strict=True))
    assert not torch.equal(same.last.weight, other.last.weight)


def test_sub_reconstructions_are_pseudo_inverses_of_disjoint_splits():
    data = scan_of(blobs((9, 8), seed=1), 41)
    parts = split(data.masks.reshape(41, -1), data.buckets, 4, 3, np.random.default_rng(0))
    assert parts.images.shape == (12, 72)
    known = ~parts.targets
    for permutation in known.reshape(3, 4, 41):
        np.testing.assert_array_equal(permutation.sum(axis=0), 1)
    flat = data.masks.reshape(41, -1).astype(float)
    for members, image in zip(known, parts.images, strict=True):
        np.testing.assert_allclose(image, np.linalg.pinv(flat[members]) @ data.buckets[members], atol=1e-3)
    assert not np.array_equal(known[:4], known[4:8])


def test_splits_need_two_realizations():
    with pytest.raises(ValueError, match="from 2 to the number of realizations, 1"):
        split(np.ones((1, 4)), np.ones(1), 2, 1, np.random.default_rng(0))


def test_training_beats_least_squares_by_far():
    data = scan_of(blobs((24, 24), seed=4), 250, photons=200, seed=1)
    result = reconstruct(data.masks, data.buckets, "n2g", steps=200, features=8)
    linear = reconstruct(data.masks, data.buckets, "least_squares")
    assert psnr(result.image, data.image, 1) > psnr(linear.image, data.image, 1) + 6
    assert result.heldout_loss < 0.4
    assert result.image.min() >= 0


def test_object_that_may_be_negative_is_reconstructed_negative():
    image = blobs((16, 16), seed=4) - 0.5
    data = scan_of(image, 200, seed=1)
    result = reconstruct(data.masks, data.buckets, "n2g", nonnegative=False, steps=150, features=8)
    assert result.image.min() < -0.3
    assert np.corrcoef(result.image.ravel(), image.ravel())[0, 1] > 0.8


def test_live_training_goes_on_from_the_last_result():
    data = scan_of(blobs((16, 16), seed=4), 160, photons=500, seed=1)
    stream = make_reconstructor("n2g", shape=(16, 16), live_steps=40, features=8)
    quality = []
    for start in range(0, 160, 40):
        stream.update(data.masks[start : start + 40], data.buckets[start : start + 40])
        quality.append(psnr(stream.result().image, data.image, 1))
    assert quality[-1] > quality[0] + 3


def test_device_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="device 'abacus' can't be used"):
        reconstruct(np.random.default_rng(0).random((9, 4, 4)), np.arange(9.0), device="abacus")


def test_time_budget_takes_steps_off_and_says_so():
    data = scan_of(blobs((12, 12), seed=5), 60, photons=500, seed=1)
    result = in_short_time(data, "n2g", steps=1_000_000, features=4, levels=1)
    assert 50 <= result.options["steps"] < 1_000_000
    again = reconstruct(data.masks, data.buckets, "n2g", **result.options)
    assert again.image.tobytes() == result.image.tobytes()


@pytest.mark.parametrize(
    ("agrees", "agrees_much", "very_little", "steps"),
    [
        (np.inf, np.inf, 0.9, 60),
        (np.inf, 0.0, 0.9, 40),
        (0.0, np.inf, 0.9, 20),
        (np.inf, np.inf, 0.0, 60),
        (np.inf, 0.0, 0.0, 30),
    ],
)
def test_training_goes_on_where_there_is_little_noise_and_it_helps(monkeypatch, agrees, agrees_much, very_little, steps):
    monkeypatch.setattr(learned, "_AGREES", agrees)
    monkeypatch.setattr(learned, "_AGREES_MUCH", agrees_much)
    monkeypatch.setattr(learned, "_VERY_LITTLE_NOISE", very_little)
    monkeypatch.setattr(Noise2Ghost, "little_noise", 0.9)
    monkeypatch.setattr(Noise2Ghost, "usual_steps", 20)
    data = scan_of(blobs((12, 12), seed=5), 120, seed=1)
    small = {"features": 4, "levels": 1, "splits": 2, "permutations": 1}
    result = reconstruct(data.masks, data.buckets, **small)
    assert result.options["steps"] == steps
    again = reconstruct(data.masks, data.buckets, **result.options)
    assert again.image.tobytes() == result.image.tobytes()
    assert again.spread.tobytes() == result.spread.tobytes()


def test_images_of_one_input_have_nothing_to_agree_with_and_train_on(monkeypatch):
    monkeypatch.setattr(DeepImagePrior, "little_noise", 0.9)
    monkeypatch.setattr(DeepImagePrior, "usual_steps", 20)
    data = scan_of(blobs((12, 12), seed=5), 120, seed=1)
    assert reconstruct(data.masks, data.buckets, "gidc", features=4, levels=1).options["steps"] == 60


def test_much_noise_makes_for_one_cycle_and_two_splits(monkeypatch):
    monkeypatch.setattr(learned, "_AGREES", np.inf)
    monkeypatch.setattr(Noise2Ghost, "usual_steps", 20)
    noisy = scan_of(blobs((12, 12), seed=5), 120, photons=0.1, seed=1)
    result = reconstruct(noisy.masks, noisy.buckets, features=4, levels=1)
    assert result.options["steps"] == 20
    assert result.options["splits"] == 2
    again = reconstruct(noisy.masks, noisy.buckets, **result.options)
    assert again.image.tobytes() == result.image.tobytes()


@pytest.mark.parametrize("photons", [1, 100])
def test_interval_holds_the_true_error_whatever_the_noise(photons):
    data = scan_of(blobs((16, 16), seed=4), 120, photons=photons, seed=1)
    result = reconstruct(data.masks, data.buckets, steps=100, features=8)
    covered = np.mean(np.abs(result.image - data.image) <= 1.645 * result.spread)
    assert 0.75 < covered < 0.99


def test_buckets_shuffled_against_their_masks_show_next_to_nothing():
    data = scan_of(blobs((24, 24), seed=3), 200, photons=5)
    shuffled = [np.random.default_rng(seed).permutation(data.buckets) for seed in range(3)]
    images = [reconstruct(data.masks, buckets, seed=seed).image for seed, buckets in enumerate(shuffled)]
    # 0.1 with half of the weight that is best for total variation, as suits data that tell of something
    assert np.mean([image.std() for image in images]) < 0.06 * data.image.std()
