"""What a network learns from a pair, and when it is stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pair_runs import halves, scene

from analysis.imaging.held_out import held_out
from analysis.pairs.floor import loss_floor, pearson_loss
from analysis.pairs.network_method import train_network
from analysis.pairs.prepared import Pair
from analysis.pairs.trust import trust


def pair_of(truth: np.ndarray, photons: float, seed: int) -> Pair:
    a, b = (image.astype(np.float32) for image in halves(truth, photons, seed))
    return Pair(a, b, np.ones(a.shape, dtype=bool))


@pytest.fixture(scope="module")
def learned():
    truth = scene(96, seed=2)
    pair = pair_of(truth, 100, 0)
    return truth, pair, *train_network([pair], 0, loss="pearson", steps=200)


def test_the_loss_of_the_scene_is_the_floor():
    truth = scene(256, seed=1)
    pair = pair_of(truth, 50, 0)
    assert loss_floor(pair.a, pair.b) == pytest.approx(pearson_loss(truth, pair.b), rel=0.01)


def test_the_network_comes_near_the_floor_and_keeps_scale_and_offset(learned):
    truth, pair, denoiser, tested = learned
    denoised = denoiser.pair(pair)
    judged = trust(denoiser, pair, denoised, tested)
    assert not denoiser.trained.memorised and abs(judged.above_floor) < 0.02
    assert denoised.mean() == pytest.approx(100, rel=0.01)
    slope = np.polyfit(100 * truth.ravel(), denoised.ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.05)
    assert np.std(denoised - 100 * truth) < 0.4 * np.std(pair.mean - 100 * truth)


def test_a_still_is_denoised_in_all_orientations_and_better(learned):
    truth, pair, denoiser, _ = learned
    still = replace(denoiser, still=True)
    denoised = still.pair(pair)
    assert np.std(denoised - 100 * truth) < np.std(denoiser.pair(pair) - 100 * truth)
    turned = Pair(*(np.rot90(image) for image in (pair.a, pair.b, pair.measured)))
    np.testing.assert_allclose(still.pair(turned), np.rot90(denoised), atol=1e-2)


def test_noise_alone_becomes_nearly_flat():
    rng = np.random.default_rng(0)
    a, b = rng.poisson(100, (2, 96, 96)).astype(np.float32)
    pair = Pair(a, b, np.ones(a.shape, dtype=bool))
    denoiser, tested = train_network([pair], 0, loss="mse", steps=100)
    denoised = denoiser.pair(pair)
    assert denoised.std() < 0.3 * pair.mean.std()
    assert trust(denoiser, pair, denoised, tested).null_structure < 0.3


def test_memorised_noise_ends_the_training():
    rng = np.random.default_rng(0)
    a, b = (scene(32) * 100 + 30 * rng.standard_normal((2, 32, 32))).astype(np.float32)
    same = np.tile(a, (1, 1)), np.tile(b, (1, 1))
    pair = Pair(*same, np.ones(a.shape, dtype=bool))
    denoiser, _ = train_network([pair], 0, loss="pearson", steps=3000)
    assert denoiser.trained.memorised and denoiser.trained.steps < 3000 and denoiser.trained.above_floor < 0


def test_the_same_seed_gives_the_same_bits_and_another_one_others():
    pair = pair_of(scene(64), 200, 1)
    images = [train_network([pair], seed, loss="pearson", steps=5)[0].pair(pair) for seed in (3, 3, 4)]
    assert images[0].tobytes() == images[1].tobytes() != images[2].tobytes()


def test_what_a_network_makes_does_not_depend_on_what_is_far_away(learned):
    _, pair, denoiser, _ = learned
    other = pair.a.copy()
    other[:, 80:] = 0
    np.testing.assert_allclose(denoiser.trained(other)[:, :30], denoiser.trained(pair.a)[:, :30], atol=1e-3)


@pytest.mark.parametrize("shape", [(33, 47), (512, 512), (32, 32)])
def test_some_blocks_are_kept_for_testing(shape):
    kept = held_out(shape, 0)
    assert kept.shape == shape and 0.05 < kept.mean() < 0.6
