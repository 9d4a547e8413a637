import numpy as np
import pytest
from PIL import Image

from sims.samples import SAMPLES, make_sample


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("shape", [(64, 64), (32, 48), (1, 1)])
def test_a_sample_is_a_transmission(name, shape):
    sample = make_sample(name, shape, seed=3)
    assert sample.shape == shape and sample.dtype == np.float32
    assert sample.min() >= 0 and sample.max() <= 1
    np.testing.assert_array_equal(sample, make_sample(name.lower(), shape, seed=3))


@pytest.mark.parametrize("name", ["gear", "chromosomes", "wires"])
def test_the_seed_changes_the_drawing(name):
    assert not np.array_equal(make_sample(name, (64, 64), seed=1), make_sample(name, (64, 64), seed=2))


def test_the_gear_has_fourteen_teeth():
    gear = make_sample("gear", (256, 256), seed=5)
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    rim = gear[(128 + 128 * 0.75 * np.sin(angle)).astype(int), (128 + 128 * 0.75 * np.cos(angle)).astype(int)] < 0.5
    assert np.count_nonzero(rim & ~np.roll(rim, 1)) == 14


def test_the_letters_are_three_separate_holes_with_bridges():
    from scipy.ndimage import label

    _, holes = label(make_sample("CAS", (128, 128)) > 0.5)
    # C is cut once and A once along its height, S twice; what matters is that no metal island would fall out.
    _, metal = label(make_sample("CAS", (128, 128)) < 0.5)
    assert holes > 3 and metal == 1


def test_a_finer_picture_averages_to_the_coarse_one():
    fine = make_sample("gear", (128, 128), seed=1).reshape(64, 2, 64, 2).mean(axis=(1, 3))
    assert np.abs(fine - make_sample("gear", (64, 64), seed=1)).mean() < 0.01


def test_an_image_file_is_resampled_by_area(tmp_path):
    pixels = np.zeros((6, 9), dtype=np.uint8)
    pixels[:3] = 255
    Image.fromarray(pixels).save(tmp_path / "half.png")
    np.testing.assert_allclose(make_sample(str(tmp_path / "half.png"), (4, 4))[:, 0], [1, 1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(make_sample(str(tmp_path / "half.png"), (1, 1)), 0.5, atol=1e-6)


@pytest.mark.parametrize(
    "pixels", [np.full((4, 4), 2**15, np.uint16), np.full((4, 4), 0.5, np.float32), np.full((4, 4, 3), 128, np.uint8)]
)
def test_grey_levels_of_any_depth_are_scaled_to_one(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "grey.tif")
    np.testing.assert_allclose(make_sample(str(tmp_path / "grey.tif"), (2, 3)), 0.5, atol=0.01)


def test_numbers_beyond_one_are_stretched_to_the_full_range(tmp_path):
    np.save(tmp_path / "numbers.npy", np.array([[-5.0, 15.0]]))
    np.testing.assert_allclose(make_sample(str(tmp_path / "numbers.npy"), (1, 2)), [[0, 1]])


def test_no_such_sample_names_those_there_are():
    with pytest.raises(ValueError, match=r"no sample 'cat'.*CAS, gear, chromosomes, wires, half-cylinder"):
        make_sample("cat", (8, 8))


@pytest.mark.parametrize("content", [b"", b"not an image at all"])
@pytest.mark.parametrize("name", ["broken.png", "broken.npy"])
def test_a_file_that_is_no_image_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"cannot read an image from .*{name}"):
        make_sample(str(tmp_path / name), (8, 8))


@pytest.mark.parametrize(
    "array", [np.zeros(4), np.zeros((0, 4)), np.full((2, 2), np.nan), np.array([["a"]]), np.ones((2, 2), complex)]
)
def test_an_array_that_is_no_image_is_refused(tmp_path, array):
    np.save(tmp_path / "odd.npy", array)
    with pytest.raises(ValueError, match=r"odd\.npy"):
        make_sample(str(tmp_path / "odd.npy"), (8, 8))
