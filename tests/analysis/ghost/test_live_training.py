from dataclasses import replace

import numpy as np
import pytest
import torch
from ghost_scans import blobs, scan_of

from analysis.ghost import make_reconstructor
from analysis.ghost.live_weight import LiveWeight, least_live_weight
from analysis.ghost.objective import ImageTargets, Objective, Units
from analysis.ghost.training import Training
from analysis.metrics import psnr

SMALL = {"features": 6, "levels": 2, "splits": 2, "permutations": 3}


def updates_of(data, step, **options):
    stream = make_reconstructor("n2g", shape=data.image.shape, **(SMALL | options))
    for start in range(0, len(data.buckets), step):
        stream.update(data.masks[start : start + step], data.buckets[start : start + step])
        yield stream, stream.result()


def test_live_images_come_close_to_the_finished_one():
    data = scan_of(blobs((16, 16), seed=4), 160, photons=300, seed=5)
    # of updates twice as coarse, a tenth of the realizations each, the last image is 2 dB short
    *_, (stream, last) = updates_of(data, 8, steps=250, live_steps=50)
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


def test_larger_images_take_fewer_live_steps(monkeypatch):
    steps = dict.fromkeys((64, 128), 0)
    for size in steps:
        data = scan_of(np.ones((size, size)), 10, seed=1)
        stream = make_reconstructor("n2g", shape=(size, size), **(SMALL | {"features": 1, "levels": 0}))
        stream.update(data.masks, data.buckets + np.arange(10))
        with monkeypatch.context() as patched:
            taken = []
            patched.setattr(Training, "step", lambda training, taken=taken: taken.append(training))
            stream.result()
        steps[size] = len(taken)
    assert steps == {64: 20, 128: 5}


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


def test_the_learning_rate_falls_over_and_over():
    training = Training(torch.nn.Conv2d(1, 1, 1), 0.01, 0, "cpu")
    training.pose(objective_of(2))
    falls, rates = training.falls(10, 2.0), []
    for _ in range(20):
        training.step()
        rates += falls.get_last_lr()
        falls.step()
    assert rates[0] == rates[10] == pytest.approx(0.02)
    assert max(np.diff(rates[:10])) < 0
    assert rates[9] < 0.001


def test_the_last_networks_kept_predict_together():
    network = torch.nn.Conv2d(1, 1, 1)
    training = Training(network, 0.01, 0, "cpu")
    training.pose(objective_of(2, nonnegative=False))
    torch.nn.init.zeros_(network.weight)
    predicted = []
    for level, realizations in ((1, 96), (2, 97), (6, 98), (10, 100), (5, 104)):
        torch.nn.init.constant_(network.bias, level)
        training.keep(realizations)
        images = training.predictions()
        assert images.shape == (2, 4, 4)
        predicted.append(images.mean())
    # three at most, of which none knows much less than the newest
    assert predicted == pytest.approx([1, 1.5, 3, 6, 7.5])


@pytest.mark.parametrize("method", ["gidc", "inr"])
def test_methods_of_one_input_know_no_spread_while_the_scan_runs_either(method):
    data = scan_of(blobs((16, 16), seed=4), 100, photons=300, seed=5)
    stream = make_reconstructor(method, shape=(16, 16), live_steps=2, features=4)
    for part in (slice(0, 98), slice(98, 100)):
        stream.update(data.masks[part], data.buckets[part])
        assert np.isnan(stream.result().spread).all()


def objective_of(inputs, *, nonnegative=True):
    images = np.random.default_rng(1).normal(size=(inputs, 1, 4, 4))
    units = Units(masks=1.0, contrast=1.0, level=0.0)
    return Objective(images, ImageTargets(images[:, 0]), units, weight=0.0, nonnegative=nonnegative)
