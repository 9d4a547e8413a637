import numpy as np
import pytest
import torch
from ghost_scans import blobs, scan_of

from analysis.ghost import make_reconstructor
from analysis.ghost.averaged_weights import AveragedWeights
from analysis.ghost.live_weight import LiveWeight
from analysis.metrics import psnr

SMALL = {"features": 8, "levels": 2, "splits": 3, "permutations": 3}


def updates_of(data, step, buckets=None, **options):
    stream = make_reconstructor("n2g", shape=data.image.shape, **SMALL, **options)
    buckets = data.buckets if buckets is None else buckets
    for start in range(0, len(buckets), step):
        stream.update(data.masks[start : start + step], buckets[start : start + step])
        yield stream, stream.result()


def test_live_images_come_close_to_the_finished_one():
    data = scan_of(blobs((24, 24), seed=4), 240, photons=300, seed=5)
    *_, (stream, last) = updates_of(data, 24)
    assert psnr(last.image, data.image, 1) > psnr(stream.finish().image, data.image, 1) - 1


def test_live_training_goes_on_from_the_last_image():
    data = scan_of(blobs((24, 24), seed=4), 240, photons=300, seed=5)
    *_, (_, warm) = updates_of(data, 24)
    *_, (_, cold) = updates_of(data, 240)
    assert psnr(warm.image, data.image, 1) > psnr(cold.image, data.image, 1) + 2


def test_buckets_kept_for_the_loss_are_never_trained_on():
    # of buckets that tell nothing a network that knew them would predict some
    data = scan_of(blobs((16, 16), seed=4), 320, photons=300, seed=5)
    shuffled = np.random.default_rng(0).permutation(data.buckets)
    losses = [estimate.heldout_loss for _, estimate in updates_of(data, 40, shuffled, weight=0.0, live_steps=80)]
    assert min(losses[2:]) > 0.9


def test_larger_images_take_fewer_live_steps():
    told = {}
    for size in (64, 128):
        data = scan_of(np.ones((size, size)), 20, seed=1)
        stream = make_reconstructor("n2g", shape=(size, size), weight=1.0, **(SMALL | {"features": 1, "levels": 0}))
        stream.update(data.masks, data.buckets + np.arange(20))
        told[size] = []
        stream.result(told[size].append)
    assert [len(told[size]) for size in (64, 128)] == [2, 1]


def test_weight_is_chosen_again_as_realizations_come_and_then_only_carried_on():
    assert LiveWeight().is_due(64)
    weight = LiveWeight(2.0, 800)
    assert not weight.is_due(999) and weight.is_due(1000)
    assert weight.of(1200) == pytest.approx(3.0)
    assert not LiveWeight(2.0, 1000).is_due(100_000)
    given = LiveWeight(2.0, 64, fixed=True)
    assert given.of(800) == 2.0 and not given.is_due(800)


def test_averaged_weights_are_the_mean_at_first_and_forget_old_steps():
    network = torch.nn.Linear(2, 2)
    averaged = AveragedWeights(network)
    for value in (1.0, 2.0, 6.0):
        torch.nn.init.constant_(network.weight, value)
        averaged.take(network)
    torch.testing.assert_close(averaged.network.weight, torch.full((2, 2), 3.0))
    for _ in range(300):
        averaged.take(network)
    torch.testing.assert_close(averaged.network.weight, torch.full((2, 2), 6.0), atol=1e-2, rtol=0)
    torch.testing.assert_close(network.weight, torch.full((2, 2), 6.0))
