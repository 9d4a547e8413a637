import numpy as np
import pytest
from ghost_scans import blobs, scan_of

from analysis.ghost import make_reconstructor, reconstruct
from analysis.ghost.published import best_epoch, parts_of, scale_and_offset

SMALL = {"recipe": "published", "features": 4, "levels": 2, "splits": 2, "permutations": 2}


def test_recipe_has_the_published_settings_and_says_its_name():
    stream = make_reconstructor("n2g", shape=(16, 16), recipe="published")
    assert stream.options["steps"] == 3000
    assert stream.options["learning_rate"] == 2e-4
    assert stream.options["recipe"] == "published"


def test_image_is_the_objects_and_the_same_again():
    data = scan_of(blobs((16, 16), seed=4), 150, photons=300, seed=1)
    result = reconstruct(data.masks, data.buckets, steps=100, learning_rate=5e-3, **SMALL)
    assert np.corrcoef(result.image.ravel(), data.image.ravel())[0, 1] > 0.6
    # of its realizations a tenth has chosen the epoch, and all others were trained on
    assert np.isnan(result.heldout_loss)
    again = reconstruct(data.masks, data.buckets, **result.options)
    assert again.image.tobytes() == result.image.tobytes()


def test_few_realizations_are_enough():
    masks, buckets = np.random.default_rng(0).random((4, 5, 4)), np.arange(4.0)
    assert np.isfinite(reconstruct(masks, buckets, steps=3, **SMALL).image).all()


def test_recipe_that_is_not_there_and_its_time_budget_are_refused():
    masks, buckets = np.random.default_rng(0).random((9, 4, 4)), np.arange(9.0)
    with pytest.raises(ValueError, match="recipe must be one of fast, published, not 'slow'"):
        reconstruct(masks, buckets, recipe="slow")
    with pytest.raises(ValueError, match="published recipe takes no time_budget_s"):
        reconstruct(masks, buckets, recipe="published", time_budget_s=10)


class ScriptedTraining:
    """Makes in each epoch two images of the epoch's number, and notes what it is told."""

    def __init__(self):
        self.told = []

    def restart(self):
        self.told.append("restart")

    def epoch(self, parts):
        self.told.append(parts)
        return np.full((2, 1, 1), float(len(self.told) - self.told.count("restart") - 1))


def test_epoch_with_the_least_error_counts_and_the_last_without_any():
    images = best_epoch(ScriptedTraining(), 2, 9, lambda image: (image.item() - 6) ** 2, None)
    np.testing.assert_array_equal(images, np.full((2, 1, 1), 6.0))
    assert best_epoch(ScriptedTraining(), 2, 9, None, None)[0, 0, 0] == 8


def test_epochs_begin_in_parts_and_end_with_all_inputs_at_once():
    assert [parts_of(epoch, 3000, 24) for epoch in (0, 23, 24, 749, 750, 1499, 1500, 2999)] == [8, 8, 7, 3, 2, 2, 1, 1]
    assert parts_of(0, 3000, 4) == 4
    training = ScriptedTraining()
    best_epoch(training, 4, 8, None, None)
    assert training.told == ["restart", 3, 3, "restart", 2, 2, "restart", 1, 1, 1, 1]


def test_scale_and_offset_are_fitted_to_all_buckets():
    data = scan_of(blobs((8, 8), seed=1), 40)
    masks = data.masks.reshape(40, -1).astype(float)
    predicted = masks @ (2 * data.image - 0.3).ravel()
    np.testing.assert_allclose(scale_and_offset(predicted, masks.sum(axis=1), data.buckets), (0.5, 0.15), rtol=1e-6)
