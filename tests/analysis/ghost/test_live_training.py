from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ghost_scans import blobs, scan_of

from analysis.ghost import live_weight, make_reconstructor, store
from analysis.ghost.live_training import LiveTraining
from analysis.ghost.live_weight import LiveWeight
from analysis.ghost.objective import ImageTargets, Objective, Units
from analysis.ghost.problem import Problem
from analysis.ghost.store import Store
from analysis.ghost.training import Training
from analysis.metrics import psnr

SMALL = {"features": 6, "levels": 2, "splits": 2, "permutations": 3}


def updates_of(data, step, **options):
    stream = make_reconstructor("n2g", shape=data.image.shape, **(SMALL | options))
    for start in range(0, len(data.buckets), step):
        stream.update(data.masks[start : start + step], data.buckets[start : start + step])
        yield stream, stream.result()


def test_live_images_come_close_to_the_finished_one():
    missing = []
    for seed in range(4, 10):  # single scans vary by 1 dB either way
        data = scan_of(blobs((16, 16), seed=seed), 160, photons=300, seed=seed + 1)
        *_, (stream, last) = updates_of(data, 16, steps=250, live_steps=50)
        missing.append(psnr(stream.finish().image, data.image, 1) - psnr(last.image, data.image, 1))
    assert np.mean(missing) < 1.2


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


def store_of(data, count):
    kept = Store(data.image.size)
    kept.append(data.masks[:count].reshape(count, -1).astype(np.float32), data.buckets[:count], None)
    return kept


def test_the_weight_follows_the_realizations():
    data = scan_of(blobs((16, 16), seed=4), 160, photons=300, seed=5)
    weight = LiveWeight((16, 16), seed=3, nonnegative=True)
    chosen = [count for count in range(40, 161) if weight.follow(store_of(data, count)) is not None]
    assert chosen[0] == 40 and np.diff(chosen).min() >= 2
    fresh = Problem((16, 16), store_of(data, 160), 3, True).choose(None).weight
    # optima are flat: a factor of 3 between two choices is nothing unusual
    assert fresh / 4 < weight.of(160) < 4 * fresh
    assert weight.of(320) == pytest.approx(2 * weight.of(160))


@pytest.mark.parametrize(("size", "due"), [(64, 105), (128, 120), (256, 125)])
def test_weights_of_larger_images_are_chosen_less_often(size, due):
    rng = np.random.default_rng(1)
    masks, buckets = rng.random((due, size, size)).astype(np.float32), rng.random(due)

    def kept(count):
        return store_of(SimpleNamespace(image=masks[0], masks=masks, buckets=buckets), count)

    weight = LiveWeight((size, size), seed=3, nonnegative=True)
    weight.follow(kept(100))
    assert weight.follow(kept(due - 1)) is None
    assert weight.follow(kept(due)) is not None


def test_choices_that_follow_each_other_find_what_one_from_nothing_finds():
    data = scan_of(blobs((16, 16), seed=4), 160, photons=300, seed=5)
    problems = [Problem((16, 16), store_of(data, count), 3, True) for count in range(100, 161, 3)]
    choice = None
    for problem in problems:
        choice = problem.choose(None, choice)
    followed = problems[-1].unexplained
    problems[-1].choose(None)
    assert followed == pytest.approx(problems[-1].unexplained, rel=0.1)


def test_weights_of_large_problems_are_chosen_seldom_and_then_only_carried_on(monkeypatch):
    monkeypatch.setattr(store, "MOST_REALIZATIONS", 0)
    monkeypatch.setattr(live_weight, "_LAST_IF_LARGE", 60)
    data = scan_of(blobs((8, 8), seed=4), 120, photons=300, seed=5)
    weight = LiveWeight((8, 8), seed=3, nonnegative=True)
    assert [count for count in range(40, 121) if weight.follow(store_of(data, count)) is not None] == [40, 50, 63]


def test_weight_of_few_realizations_is_kept_from_vanishing():
    data = scan_of(blobs((24, 24), seed=4), 60, photons=1e6, seed=5)
    weight = LiveWeight((24, 24), seed=3, nonnegative=True)
    problem = weight.follow(store_of(data, 60))
    assert weight.of(60) >= 0.01 * problem.flattening


class FakeTraining:
    def __init__(self, number, told):
        self.number, self._told, self.rates = number, told, []

    def pose(self, objective):
        self.objective = objective

    def set_rate(self, share):
        self.rates.append(share)

    def step(self):
        self._told.append(("step", self.number, self.objective))

    def average(self, decay):
        pass

    def predictions(self):
        self._told.append(("predictions", self.number, self.objective))
        return np.full((2, 3, 3), float(self.objective))


def followed(counts, expected, *, unexplained=0.1):
    """What was done, as (what, number of the network, realizations), and the networks."""
    told, networks = [], []

    def begin(number):
        networks.append(FakeTraining(number, told))
        return networks[-1]

    training = LiveTraining(begin, 100, 50)
    images = [training.images(lambda count=count: count, count, expected, unexplained, None) for count in counts]
    assert all(np.isfinite(image).all() for image in images)
    return told, networks


def shown(told):
    """The network that predicts, by realizations."""
    return {realizations: number for what, number, realizations in told if what == "predictions"}


def test_another_network_is_begun_before_half_of_the_scan_and_takes_over_when_it_has_learned():
    counts = range(50, 1000, 50)
    told, networks = followed(counts, 1000)
    assert len(networks) == 2
    assert min(realizations for what, number, realizations in told if number == 1) == 450
    # 50 steps an image; the old one has the inputs at hand too
    assert shown(told) == {count: int(count >= 600) for count in counts}


def test_no_other_network_is_begun_in_a_quick_scan_or_late_in_one():
    assert len(followed(range(100, 1000, 100), 1000)[1]) == 1
    assert len(followed([*range(10, 100, 10), *range(500, 1000, 50)], 1000)[1]) == 1


def test_a_scan_of_unknown_length_has_one_network_alone():
    assert len(followed(range(50, 2000, 10), None)[1]) == 1


@pytest.mark.parametrize("expected", [1000, None])
def test_steps_do_not_depend_on_how_often_estimates_are_made(expected):
    often, seldom = (followed(range(100, 1001, between), expected)[0] for between in (1, 25))
    steps = [sum(what == "step" and realizations > 500 for what, _, realizations in told) for told in (often, seldom)]
    assert steps[0] == pytest.approx(steps[1], rel=0.05)
    assert 300 < steps[0] < 700


def test_no_estimate_takes_more_steps_than_it_may():
    told, _ = followed(range(100, 1000, 100), 1000)
    assert all(sum(what == "step" and at == count for what, _, at in told) == 50 for count in range(100, 1000, 100))


@pytest.mark.parametrize(("between", "rounds"), [(250, 6), (100, 4), (90, 3), (50, 2)])
def test_the_last_estimate_makes_up_for_steps_that_a_slow_machine_left_out(between, rounds):
    last = 1000 // between * between
    told, _ = followed([*range(between, last + 1, between), last], last)
    # of 600 steps there were 150, 450, 500 and 550 before. One round more shows that images don't agree any better.
    assert sum(what == "step" and at == last for what, _, at in told) == pytest.approx(50 * rounds, abs=1)


def test_the_last_estimate_goes_on_as_long_as_images_come_to_agree():
    class Agrees(PredictsLevels):
        apart = iter([9.0] * 20 + [3.0, 2.0, 2.5, 1.0])

        def predictions(self):
            return np.array([-0.5, 0.5])[:, None, None] * next(self.apart) * np.ones((2, 3, 3))

    training = LiveTraining(lambda number: Agrees(), 100, 50)
    images = [training.images(lambda: (0, 0), known, 1000, 0.1, None) for known in (*range(50, 1000, 50), 999, 1000)]
    assert [np.ptp(image) for image in images[-2:]] == pytest.approx([9.0, 2.0])


def test_without_new_realizations_nothing_is_trained():
    told, _ = followed([100, 100], 1000)
    assert [what for what, *_ in told].count("step") == 50


@pytest.mark.parametrize(("unexplained", "last"), [(0.1, 1.0), (0.5, 0.0)])
def test_the_learning_rate_rises_at_first_and_falls_in_each_estimate_if_there_is_much_noise(unexplained, last):
    _, (network,) = followed([100, 200, 300, 400], 1000, unexplained=unexplained)
    assert network.rates[0] < 0.03
    assert network.rates[150] == pytest.approx(2 - last)
    assert network.rates[199] == pytest.approx(last, abs=0.01)


def test_the_last_networks_predict_together():
    training = LiveTraining(lambda number: PredictsLevels(), 100, 50)
    together = [
        training.images(lambda level=level: (level, level + 2), known, None, 0.1, None)
        for level, known in ((0, 96), (1, 97), (5, 98), (9, 100), (4, 104))
    ]
    # three at most, of which none knows much less than the newest
    assert [images.mean() for images in together] == pytest.approx([1, 1.5, 3, 6, 7.5])
    assert [np.ptp(images) for images in together] == pytest.approx([2] * 5)


class PredictsLevels(FakeTraining):
    def __init__(self):
        super().__init__(0, [])

    def predictions(self):
        return np.stack([np.full((3, 3), float(level)) for level in self.objective])


def test_the_average_of_the_weights_predicts():
    network = torch.nn.Conv2d(1, 1, 1)
    training = Training(network, 0.01, 0, "cpu")
    training.pose(objective_of(1, nonnegative=False))
    torch.nn.init.zeros_(network.weight)
    for level in (1, 5):
        torch.nn.init.constant_(network.bias, level)
        training.average(0.75)
    assert training.predictions().mean() == pytest.approx(2.0)


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
