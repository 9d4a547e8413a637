"""The wavelet network: its transform, its inputs, its weights, and that it invents nothing."""

import hashlib
import json
import os
import zipfile

import numpy as np
import pytest
import torch
from ghost_scans import blobs, scan_of
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.ghost import make_reconstructor, reconstruct
from analysis.ghost.ch_mwcnn import certainty
from analysis.ghost.linear_images import linear_images
from analysis.ghost.wavelet_network import WaveletNetwork, haar, inverse_haar, network_inputs
from analysis.ghost.weights import LARGEST_FILE, SHIPPED, load_weights, save_weights
from analysis.metrics import cnr, psnr
from beamline.mask_designs import hadamard


@settings(max_examples=30, deadline=None)
@given(shape=st.tuples(*[st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)]), seed=st.integers(0, 99))
def test_the_wavelet_transform_loses_nothing(shape, seed):
    batch, channels, height, width = shape
    images = torch.from_numpy(np.random.default_rng(seed).normal(size=(batch, channels, 2 * height, 2 * width)))
    parts = haar(images)
    assert parts.shape == (batch, 4 * channels, height, width)
    assert float(parts.square().sum()) == pytest.approx(float(images.square().sum()))
    torch.testing.assert_close(inverse_haar(parts), images)


def test_the_average_of_each_channel_comes_first():
    images = torch.arange(32.0).reshape(1, 2, 4, 4)
    torch.testing.assert_close(haar(images)[:, :2], 2 * torch.nn.functional.avg_pool2d(images, 2))


def test_predictions_of_value_or_of_magnitude_count_and_chance_does_not():
    rng = np.random.default_rng(0)
    made, weights = rng.normal(size=400) * np.linspace(3, 0.1, 400), np.ones(400)
    noise = rng.normal(size=400)
    turned = np.where(rng.random(400) < 0.5, 1, -1) * made
    assert certainty([(5 * made + noise, made, weights)]) == 1.0
    assert certainty([(5 * turned + noise, made, weights)]) == 1.0
    assert np.mean([certainty([(rng.permutation(5 * made), made, weights)]) for _ in range(200)]) < 0.05
    assert certainty([(noise, 0 * made, weights)]) == 0.0


@pytest.mark.parametrize("number", [40, 200])
def test_the_linear_image_solves_the_ridged_equations(number):
    data = scan_of(blobs((10, 9), seed=3), number, photons=100, seed=1)
    masks, rows = data.masks.reshape(number, -1), np.ones((1, number))
    seen = linear_images(masks, data.buckets[None], rows)
    sums = masks.sum(axis=1, dtype=float)
    level = sums @ data.buckets / (sums @ sums)
    shared = sums / np.linalg.norm(sums)
    system = masks - np.outer(shared, shared @ masks)
    scale = masks.var(axis=0).mean() * masks.shape[1]
    expected = np.linalg.solve(system.T @ system + 0.05 * scale * np.eye(90), system.T @ (data.buckets - level * sums))
    assert seen.level[0] == pytest.approx(level)
    np.testing.assert_allclose(seen.solved[0], expected, atol=0.03 * np.abs(expected).max())


def test_realizations_of_no_weight_change_nothing():
    data = scan_of(blobs((8, 8)), 60, photons=100)
    masks, rows = data.masks.reshape(60, -1), np.ones((1, 60))
    rows[0, 40:] = 0.0
    buckets = np.stack([data.buckets, np.where(rows[0] > 0, data.buckets, 1e3)])
    seen = linear_images(masks, buckets, np.repeat(rows, 2, axis=0))
    np.testing.assert_allclose(seen.solved[0], seen.solved[1], rtol=1e-3, atol=1e-5)


def test_complete_hadamard_masks_give_the_object():
    image, masks = blobs((16, 16)), hadamard(16)
    seen = linear_images(masks.reshape(256, -1), (masks.reshape(256, -1) @ image.ravel())[None].astype(float), np.ones((1, 256)))
    found = (seen.level[:, None] + 1.05 * seen.solved).reshape(16, 16)
    assert psnr(found, image) > 25


def test_an_image_does_not_depend_on_what_is_computed_beside_it():
    network, inputs = WaveletNetwork(), torch.randn(3, 3, 13, 7, generator=torch.Generator().manual_seed(0))
    arrays, _ = load_weights(SHIPPED)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    with torch.no_grad():
        together, alone = network(inputs), network(inputs[1:2])
    for three, one in zip(together, alone, strict=True):
        assert three.shape == (3, 13, 7)
        torch.testing.assert_close(three[1:2], one, rtol=1e-4, atol=1e-4)


def test_inputs_are_of_the_object_s_contrast_whatever_its_unit():
    data = scan_of(blobs((8, 8)), 60, photons=100)
    masks, rows = data.masks.reshape(60, -1), np.ones((1, 60))
    one, thousand = (network_inputs(linear_images(masks, unit * data.buckets[None], rows), (8, 8)) for unit in (1, 1000))
    torch.testing.assert_close(one, thousand, rtol=1e-3, atol=1e-4)
    assert float(one[0, 1].std(unbiased=False)) == pytest.approx(1.0, rel=1e-3)


def seen_through_hadamard(image, number, photons=1e4):
    masks = (0.17 + 0.83 * hadamard(image.shape[0])[:number]).astype(np.float32)
    clean = masks.reshape(number, -1) @ image.ravel().astype(float)
    return masks, np.random.default_rng(0).poisson(photons * clean) / photons


@pytest.mark.parametrize("size", [32, 64])
def test_a_held_out_object_comes_out_cleaner_than_by_the_linear_methods(size):
    image = blobs((size, size), seed=11)
    masks, buckets = seen_through_hadamard(image, round(0.1875 * size**2))
    images = {method: reconstruct(masks, buckets, method).image for method in ("differential", "least_squares", "ch_mwcnn")}
    errors = {method: np.mean((found - image) ** 2) for method, found in images.items()}
    assert errors["ch_mwcnn"] < 0.6 * min(errors["differential"], errors["least_squares"])
    assert cnr(images["ch_mwcnn"], image > 0.5) > cnr(images["least_squares"], image > 0.5)


@pytest.mark.parametrize("kind", ["gaussian", "hadamard"])
def test_buckets_shuffled_against_their_masks_give_a_flat_image(kind):
    image = blobs((32, 32), seed=7)
    if kind == "hadamard":
        masks, buckets = seen_through_hadamard(image, 400)
    else:
        data = scan_of(image, 400, photons=1e3)
        masks, buckets = data.masks, data.buckets
    contrasts = []
    for seed in range(4):
        shuffled = np.random.default_rng(seed).permutation(buckets[1:])  # the first Hadamard mask is open all over
        contrasts.append(reconstruct(masks[1:], shuffled, "ch_mwcnn", nonnegative=False).image.std())
    assert np.mean(contrasts) < 0.1 * reconstruct(masks[1:], buckets[1:], "ch_mwcnn", nonnegative=False).image.std()


def test_the_spread_covers_the_errors_of_held_out_objects():
    inside = []
    for seed in range(4):
        image = blobs((32, 32), seed=20 + seed)
        masks, buckets = seen_through_hadamard(image, 192, photons=100)
        result = reconstruct(masks, buckets, "ch_mwcnn")
        inside.append(np.mean(np.abs(result.image - image) <= 1.645 * result.spread))
    assert 0.8 < np.mean(inside) <= 1.0


def test_the_image_is_nowhere_negative_unless_that_is_allowed():
    masks, buckets = seen_through_hadamard(blobs((32, 32), seed=5), 200, photons=10)
    assert reconstruct(masks, buckets, "ch_mwcnn").image.min() >= 0
    assert reconstruct(masks, buckets, "ch_mwcnn", nonnegative=False).image.min() < 0


def test_the_card_says_how_the_weights_were_made():
    card = json.loads(SHIPPED.with_suffix(".json").read_text())
    assert {"steps", "seed", "started_from", "versions", "cpu_s", "judged"} < set(card)
    assert all(size["network"] < size["least_squares"] and 0.85 < size["coverage"] < 0.95 for size in card["judged"].values())
    assert load_weights(SHIPPED)[1] == card["sha256"]
    assert SHIPPED.stat().st_size < 1.5e6


def test_weights_that_are_not_those_of_the_card_are_refused(tmp_path):
    for name in (SHIPPED.name, SHIPPED.with_suffix(".json").name):
        (tmp_path / name).write_bytes((SHIPPED.parent / name).read_bytes())
    file = tmp_path / SHIPPED.name
    make_reconstructor("ch_mwcnn", shape=(8, 8), weights=str(file))
    other = tmp_path / "other.npz"
    other.write_bytes(file.read_bytes()[:-1] + b"x")
    other.with_suffix(".json").write_bytes(file.with_suffix(".json").read_bytes())
    with pytest.raises(ValueError, match=r"SHA-256 .*their card says .*how_to_train"):
        make_reconstructor("ch_mwcnn", shape=(8, 8), weights=str(other))
    with pytest.raises(ValueError, match=r"no weights in .*absent\.npz"):
        make_reconstructor("ch_mwcnn", shape=(8, 8), weights=str(tmp_path / "absent.npz"))
    with pytest.raises(ValueError, match="weights must be the path"):
        make_reconstructor("ch_mwcnn", shape=(8, 8), weights=3)
    with pytest.raises(ValueError, match="sha256 is 'abc', but the weights"):
        make_reconstructor("ch_mwcnn", shape=(8, 8), sha256="abc")


def test_weights_that_are_no_ordinary_file_or_far_too_large_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with open(tmp_path / "large.npz", "wb") as file:
        file.truncate(10 * LARGEST_FILE)
    for path in ("/dev/zero", tmp_path / "pipe.npz", tmp_path):
        with pytest.raises(ValueError, match="is not a regular file"):
            make_reconstructor("ch_mwcnn", shape=(8, 8), weights=str(path))
    with pytest.raises(ValueError, match="at most"):
        make_reconstructor("ch_mwcnn", shape=(8, 8), weights=str(tmp_path / "large.npz"))


def test_weights_that_unpack_to_far_too_much_are_not_unpacked(tmp_path):
    packed = tmp_path / "packed.npz"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w", force_zip64=True) as file:
        for _ in range(LARGEST_FILE // 2**20 + 1):
            file.write(bytes(2**20))
    packed.with_suffix(".json").write_text(json.dumps({"sha256": hashlib.sha256(packed.read_bytes()).hexdigest()}))
    with pytest.raises(ValueError, match="unpack to"):
        make_reconstructor("ch_mwcnn", shape=(8, 8), weights=str(packed))


def test_weights_of_another_network_are_named(tmp_path):
    save_weights(tmp_path / "foreign.npz", {"a": np.zeros(2)}, {})
    masks, buckets = seen_through_hadamard(blobs((16, 16)), 40)
    with pytest.raises(ValueError, match=r"foreign\.npz are not those of the wavelet network"):
        reconstruct(masks, buckets, "ch_mwcnn", weights=str(tmp_path / "foreign.npz"))
