from dataclasses import replace

import numpy as np
import pytest
import torch
from ghost_scans import blobs, scan_of
from torch.optim.swa_utils import AveragedModel

from analysis.ghost import make_reconstructor
from analysis.ghost.live_weight import LiveWeight, least_live_weight
from analysis.ghost.training import recent_mean
from analysis.metrics import psnr

SMALL = {"features": 6, "levels": 2, "splits": 2, "permutations": 3}


def updates_of(data, step, **options):
    stream = make_reconstructor("n2g", shape=data.image.shape, **(SMALL | options))
    for start in range(0, len(data.buckets), step):
        stream.update(data.masks[start : start + step], data.buckets[start : start + step])
        yield stream, stream.result()


def test_live_images_come_close_to_the_finished_one():
    data = scan_of(blobs((16, 16), seed=4), 160, photons=300, seed=5)
    *_, (stream, last) = updates_of(data, 16, steps=250, live_steps=50)
    assert psnr(last.image, data.image, 1) > psnr(stream.finish().image, data.image, 1) - 1.5


def test_live_training_goes_on_from_the_last_image():
    data = scan_of(blobs((16, 16), seed=4), 160, photons=300, seed=5)
    *_, (_, warm) = updates_of(data, 40, smooth_rest=False)
    *_, (_, cold) = updates_of(data, 160, smooth_rest=False)
    assert psnr(warm.image, data.image, 1) > psnr(cold.image, data.image, 1) + 1.5


def test_buckets_kept_for_the_loss_are_never_trained_on():
    # of buckets that tell nothing a network that knew them would predict some
    data = scan_of(blobs((12, 12), seed=4), 240, photons=300, seed=5)
    shuffled = replace(data, buckets=np.random.default_rng(0).permutation(data.buckets))
    losses = [estimate.heldout_loss for _, estimate in updates_of(shuffled, 60, weight=0.0, live_steps=60)]
    assert min(losses[1:]) > 0.9


def test_larger_images_take_fewer_live_steps():
    told = {}
    for size in (64, 128):
        data = scan_of(np.ones((size, size)), 10, seed=1)
        stream = make_reconstructor("n2g", shape=(size, size), **(SMALL | {"features": 1, "levels": 0}))
        stream.update(data.masks, data.buckets + np.arange(10))
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


def test_weight_of_few_realizations_is_kept_from_vanishing():
    assert least_live_weight(500.0, 500, 4096) == pytest.approx(5.0)
    assert least_live_weight(500.0, 520, 4096) == 0.0


def test_averaged_weights_are_the_mean_at_first_and_forget_old_steps():
    network = torch.nn.Linear(2, 2)
    averaged = AveragedModel(network, avg_fn=recent_mean)
    for value in (1.0, 2.0, 6.0):
        torch.nn.init.constant_(network.weight, value)
        averaged.update_parameters(network)
    torch.testing.assert_close(averaged.module.weight, torch.full((2, 2), 3.0))
    for _ in range(300):
        averaged.update_parameters(network)
    torch.testing.assert_close(averaged.module.weight, torch.full((2, 2), 6.0), atol=1e-2, rtol=0)
    torch.testing.assert_close(network.weight, torch.full((2, 2), 6.0))
