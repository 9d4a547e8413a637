"""What every method promises: bits, options, estimates, and errors that say what is wrong."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from ghost_scans import blobs, scan_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.ghost import METHODS, make_reconstructor, reconstruct

QUICK = {
    "tv": {"tolerance": 1e-2, "max_iterations": 60},
    "n2g": {"steps": 6, "live_steps": 3, "splits": 2, "permutations": 2, "features": 4, "levels": 2},
    "gidc": {"steps": 6, "live_steps": 3, "features": 4, "levels": 2},
    "inr": {"steps": 6, "live_steps": 3, "features": 8, "layers": 3, "embeddings": 4},
    "n2i": {"steps": 6, "live_steps": 3, "splits": 2, "permutations": 2, "features": 4, "levels": 2},
}
LEARNED = ["n2g", "gidc", "inr", "n2i"]
methods = pytest.mark.parametrize("method", METHODS)


def options_for(method):
    return QUICK.get(method, {})


def same_bits(one, two):
    return (
        one.image.tobytes() == two.image.tobytes()
        and one.spread.tobytes() == two.spread.tobytes()
        and np.array_equal(one.heldout_loss, two.heldout_loss, equal_nan=True)
        and all(np.array_equal(one.figures[name], two.figures[name], equal_nan=True) for name in one.figures)
        and one.figures.keys() == two.figures.keys()
    )


def test_methods_are_described():
    assert list(METHODS) == ["correlation", "differential", "normalised", "least_squares", "tv", "ch_mwcnn", *LEARNED]
    assert [name for name, method in METHODS.items() if not method.fast] == LEARNED
    assert all(method.name == name and method.summary for name, method in METHODS.items())


@methods
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 149), max_size=12, unique=True), peeks=st.booleans())
def test_bits_depend_neither_on_batch_cuts_nor_on_earlier_results(method, cuts, peeks, scan):
    data = scan.masks[:150], scan.buckets[:150]
    whole = reconstruct(*data, method, seed=3, **options_for(method))
    stream = make_reconstructor(method, shape=scan.image.shape, seed=3, **options_for(method))
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 150], strict=True):
        stream.update(data[0][start:stop], data[1][start:stop])
        if peeks and stream.count > 40:
            stream.result()
    assert stream.count == 150
    assert same_bits(stream.finish(), whole)
    assert same_bits(stream.finish(), whole)


@methods
def test_live_results_repeat_when_updates_repeat(method, scan):
    def replayed():
        stream = make_reconstructor(method, shape=scan.image.shape, seed=1, expected=300, **options_for(method))
        estimates = []
        for start in range(0, 300, 100):
            stream.update(scan.masks[start : start + 100], scan.buckets[start : start + 100], scan.errors[start : start + 100])
            estimates.append(stream.result())
        return estimates

    assert all(same_bits(one, two) for one, two in zip(replayed(), replayed(), strict=True))


@methods
def test_saved_options_give_the_same_bits(method, scan):
    first = reconstruct(scan.masks, scan.buckets, method, seed=2, **options_for(method))
    saved = json.loads(json.dumps(first.options))
    again = reconstruct(scan.masks, scan.buckets, method, seed=2, **saved)
    assert same_bits(first, again)
    assert again.options == saved


@methods
def test_estimate_has_its_parts(method, scan):
    result = reconstruct(scan.masks, scan.buckets, method, **options_for(method))
    for array in (result.image, result.spread):
        assert array.shape == scan.image.shape
        assert array.dtype == np.float32
    assert np.isfinite(result.image).all()
    if method in ("gidc", "inr"):
        # they make one image of all data and can't know its spread
        assert np.isnan(result.spread).all()
    else:
        assert (result.spread >= 0).all()
        assert result.spread.max() > 0
    assert 0 < result.heldout_loss < 20
    drift = {"mask_drift_px", "mask_drift_least_px"} if method == "tv" else set()
    assert set(result.figures) == {"frc_resolution_px"} | drift
    assert result.update_points == [300]
    assert result.elapsed_s > 0
    assert result.method == method


@pytest.mark.parametrize("method", ["correlation", "differential", "normalised", "least_squares", "tv", "ch_mwcnn"])
def test_buckets_shuffled_against_their_masks_predict_nothing(method):
    # more realizations than pixels: the noise of a correlation image is above its signal otherwise
    data = scan_of(blobs((12, 12), seed=1), 1000, photons=300)
    shuffled = np.random.default_rng(0).permutation(data.buckets)
    true, null = (reconstruct(data.masks, buckets, method) for buckets in (data.buckets, shuffled))
    assert null.heldout_loss > 0.97
    assert true.heldout_loss < 0.7 * null.heldout_loss


@methods
def test_progress_is_told(method, scan):
    told = []
    reconstruct(scan.masks, scan.buckets, method, progress=told.append, **options_for(method))
    assert all(0 <= fraction <= 1 for fraction in told)
    assert told == sorted(told)


@methods
@pytest.mark.parametrize("known", [True, False])
def test_channels_are_reconstructed_one_by_one(method, known, scan):
    buckets, errors = np.stack([scan.buckets, 2 * scan.buckets[::-1]]), np.stack([scan.errors, scan.errors[::-1]])
    told = []
    both = reconstruct(scan.masks, buckets, method, progress=told.append, errors=errors if known else None, **options_for(method))
    alone = reconstruct(scan.masks, buckets[1], method, errors=errors[1] if known else None, **options_for(method))
    assert both.image.shape == both.spread.shape == (2, 24, 24)
    assert both.image.dtype == both.spread.dtype == np.float32
    assert both.image[1].tobytes() == alone.image.tobytes()
    assert both.options[1] == alone.options
    assert len(both.heldout_loss) == len(both.figures) == 2
    assert told == sorted(told)


@methods
def test_only_the_ratios_of_errors_count(method, scan):
    one, seven = (
        reconstruct(scan.masks, scan.buckets, method, errors=scale * scan.errors, **options_for(method)) for scale in (1, 7)
    )
    np.testing.assert_allclose(one.image, seven.image, atol=2e-3 * one.image.max())
    assert one.heldout_loss == pytest.approx(seven.heldout_loss, rel=0.02)


@methods
def test_equal_errors_change_nothing(method, scan):
    known, unknown = (
        reconstruct(scan.masks, scan.buckets, method, errors=errors, **options_for(method))
        for errors in (np.full(300, 0.3), None)
    )
    np.testing.assert_allclose(known.image, unknown.image, atol=2e-3 * unknown.image.max())


def test_method_is_n2g_unless_told_otherwise(scan):
    assert reconstruct(scan.masks[:40], scan.buckets[:40], **QUICK["n2g"]).method == "n2g"


sizes = st.sampled_from([(1, 1), (1, 2), (1, 7), (3, 1), (2, 2), (5, 3), (8, 8), (13, 7)])


@methods
@settings(max_examples=15, deadline=None)
@given(shape=sizes, number=st.integers(1, 40), kind=st.sampled_from(["float", "integer", "bool"]), seed=st.integers(0, 3))
def test_any_size_and_number_gives_finite_images(method, shape, number, kind, seed):
    rng = np.random.default_rng(seed)
    masks = rng.integers(0, 2, size=(number, *shape))
    masks = {"float": masks * 0.75, "integer": masks, "bool": masks.astype(bool)}[kind]
    buckets = rng.integers(0, 9, size=number)
    stream = make_reconstructor(method, shape=shape, seed=seed, **options_for(method))
    stream.update(masks, buckets)
    for estimate in (stream.result(), stream.finish()):
        assert estimate.image.shape == shape
        assert np.isfinite(estimate.image).all()
        assert (np.isnan(estimate.spread) | (estimate.spread >= 0)).all()


@methods
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("number", [1, 30, 130])
def test_masks_that_are_all_alike_give_a_flat_image(method, level, number):
    result = reconstruct(np.full((number, 6, 5), level), np.full(number, 15.0), method, **options_for(method))
    expected = 15.0 / (30 * level) if level else 0.0
    np.testing.assert_allclose(result.image, expected, rtol=1e-4, atol=1e-4)


@methods
def test_constant_and_zero_buckets_give_finite_images(method, scan):
    for value in (0.0, 3.0):
        result = reconstruct(scan.masks, np.full(300, value), method, **options_for(method))
        assert np.isfinite(result.image).all()
        if value == 0.0:
            np.testing.assert_allclose(result.image, 0.0, atol=1e-6)


@methods
def test_duplicated_and_dark_masks_do_no_harm(method, scan):
    masks = np.concatenate([scan.masks[:100], scan.masks[:100], np.zeros_like(scan.masks[:20])])
    buckets = np.concatenate([scan.buckets[:100], scan.buckets[:100], np.zeros(20)])
    result = reconstruct(masks, buckets, method, **options_for(method))
    assert np.isfinite(result.image).all()
    assert np.abs(result.image).max() < 50


@pytest.mark.parametrize("method", [method for method in METHODS if method != "normalised"])
def test_masks_of_both_signs_are_taken(method, scan):
    result = reconstruct(scan.masks - 0.8, scan.buckets - 0.8 * scan.image.sum(), method, **options_for(method))
    assert np.isfinite(result.image).all()
    if method in ("least_squares", "tv"):
        assert np.corrcoef(result.image.ravel(), scan.image.ravel())[0, 1] > 0.6


def test_normalised_refuses_masks_of_both_signs(scan):
    with pytest.raises(ValueError, match="differential"):
        reconstruct(scan.masks - 0.8, scan.buckets, "normalised")


def with_value(array, index, value):
    array = array.astype(float)
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "tvv"}, "unknown method 'tvv'; the methods are correlation, differential"),
        ({"weigth": 1.0}, "tv has no option weigth; its options are nonnegative, weight"),
        ({"weight": -1.0}, "weight must be"),
        ({"weight": float("nan")}, "weight must be"),
        ({"tolerance": 0}, "tolerance must be"),
        ({"max_iterations": 1.5}, "max_iterations must be"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 0.5}, "seed must be"),
        ({"nonnegative": "yes"}, "nonnegative must be"),
        ({"buckets": np.ones(19)}, "20 masks but 19 buckets"),
        ({"buckets": np.ones((1, 1, 20))}, "channels, realizations"),
        ({"buckets": np.ones((0, 20))}, "no channel"),
        ({"buckets": with_value(np.ones(20), 7, np.nan)}, "every bucket must be finite; leave out realization 7"),
        ({"buckets": with_value(np.ones(20), 7, np.inf)}, "realization 7"),
        ({"buckets": ["a"] * 20}, "buckets must be real numbers"),
        ({"masks": np.ones((20, 4))}, "realizations, height, width"),
        ({"masks": np.ones((20, 0, 4))}, "at least one pixel"),
        ({"masks": with_value(np.ones((20, 2, 2)), (3, 1, 1), np.nan)}, "every mask must be finite; leave out realization 3"),
        ({"masks": np.ones((20, 2, 2), dtype=complex)}, "masks must be real numbers"),
        ({"errors": np.ones(19)}, "errors must have"),
        ({"errors": with_value(np.ones(20), 2, 0.0)}, "every error must be positive and finite; leave out realization 2"),
        ({"masks": np.ones((0, 2, 2)), "buckets": np.ones(0)}, "there are no realizations"),
        ({"time_budget_s": 0}, "time_budget_s must be"),
        ({"method": "n2g", "splits": 1}, "splits must be"),
        ({"method": "n2g", "steps": 2.0}, "steps must be"),
        ({"method": "n2g", "learning_rate": 2}, "learning_rate must be"),
        ({"method": "n2g", "weight": "much"}, "weight must be"),
        ({"method": "n2g", "time_budget_s": 1e-6}, "time_budget_s is too short: n2g"),
        ({"method": "n2i", "splits": 1}, "splits must be"),
        ({"method": "gidc", "features": 0}, "features must be a whole number from 1"),
        ({"method": "gidc", "splits": 4}, "gidc has no option splits; its options are nonnegative, weight, steps"),
        ({"method": "inr", "layers": 0}, "layers must be a whole number from 1"),
        ({"method": "n2g", "steps": 10**9}, "steps must be a whole number from 1 to 1000000"),
        ({"method": "n2g", "recipe": "published", "steps": 10**9}, "steps must be a whole number from 1 to 1000000"),
        ({"method": "n2g", "live_steps": 10**9}, "live_steps must be a whole number from 1 to 10000"),
        ({"method": "n2g", "permutations": 10**6}, "permutations must be a whole number from 1 to 1000"),
        ({"method": "n2g", "splits": 10**6}, "splits must be a whole number from 2 to 1000"),
        ({"method": "n2i", "permutations": 10**6}, "permutations must be a whole number from 1 to 1000"),
        ({"method": "gidc", "features": 10**6}, "features must be a whole number from 1 to 1024"),
        ({"method": "inr", "layers": 10**6}, "layers must be a whole number from 1 to 64"),
        ({"method": "inr", "features": 10**6}, "features must be a whole number from 1 to 4096"),
        ({"method": "inr", "embeddings": 10**6}, "embeddings must be a whole number from 1 to 4096"),
        ({"method": "tv", "max_iterations": 10**9}, "max_iterations must be a whole number from 1 to 1000000"),
        ({"method": "inr", "bandwidth": 0}, "bandwidth must be a number above 0"),
        ({"method": "least_squares", "ridge": 0}, "ridge must be"),
    ],
)
def test_senseless_input_is_named(change, words):
    rng = np.random.default_rng(0)
    call = {"masks": rng.random((20, 2, 2)), "buckets": rng.random(20), "method": "tv"} | change
    with pytest.raises(ValueError, match=words):
        reconstruct(**call)


def test_errors_must_come_always_or_never(scan):
    stream = make_reconstructor("tv", shape=(24, 24))
    stream.update(scan.masks[:10], scan.buckets[:10], scan.errors[:10])
    with pytest.raises(ValueError, match="every realization or for none"):
        stream.update(scan.masks[:10], scan.buckets[:10])


def test_refused_batch_leaves_the_reconstruction_as_it_was(scan):
    for method in ("correlation", "least_squares", "tv"):
        stream = make_reconstructor(method, shape=(24, 24))
        stream.update(scan.masks[:100], scan.buckets[:100])
        before = stream.finish()
        with pytest.raises(ValueError, match="realization 103"):
            stream.update(scan.masks[100:110], with_value(scan.buckets[100:110], 3, np.nan))
        assert stream.count == 100
        assert same_bits(stream.finish(), before)


@pytest.mark.parametrize("method", ["least_squares", "tv", "ch_mwcnn", "n2g", "gidc", "inr"])
def test_known_errors_make_bad_buckets_count_less(method):
    image = blobs((16, 16), seed=2)
    clean = scan_of(image, 200, seed=3)
    rng = np.random.default_rng(0)
    errors = np.where(rng.random(200) < 0.3, 20.0, 0.05)
    buckets = clean.buckets + errors * rng.normal(size=200)
    options = {
        "least_squares": {"ridge": 1e-3},
        "n2g": {"steps": 150, "features": 6},
        "gidc": {"steps": 150, "features": 6},
        "inr": {"steps": 150, "features": 32, "embeddings": 32, "learning_rate": 5e-3},
    }.get(method, {})
    known, unknown = (
        np.mean((reconstruct(clean.masks, buckets, method, errors=given_errors, **options).image - image) ** 2)
        for given_errors in (errors, None)
    )
    assert known < 0.7 * unknown


@methods
@pytest.mark.parametrize("unit", [1e-15, 1e12])
def test_buckets_may_come_in_any_unit(method, unit, scan):
    image, scaled = (
        reconstruct(scan.masks, buckets, method, errors=errors, **options_for(method)).image
        for buckets, errors in ((scan.buckets, scan.errors), (unit * scan.buckets, unit * scan.errors))
    )
    np.testing.assert_allclose(scaled / unit, image, atol=5e-3 * image.max())


@methods
def test_flat_object_without_noise_gives_a_flat_image(method, scan):
    buckets = 0.6 * scan.masks.sum(axis=(1, 2), dtype=float)
    result = reconstruct(scan.masks, buckets, method, **(options_for(method) if method in LEARNED else {}))
    assert np.isfinite(result.image).all()
    if method in ("differential", "normalised", "tv", *LEARNED):
        np.testing.assert_allclose(result.image, 0.6, rtol=0.02)


@methods
def test_reconstruction_can_be_saved_and_taken_up_again(method, scan):
    stream = make_reconstructor(method, shape=(24, 24), **options_for(method))
    stream.update(scan.masks[:100], scan.buckets[:100])
    stream.result()
    saved = pickle.loads(pickle.dumps(stream))
    for one in (stream, saved):
        one.update(scan.masks[100:170], scan.buckets[100:170])
    assert same_bits(saved.result(), stream.result())
    assert same_bits(saved.finish(), stream.finish())


def test_the_fast_methods_without_a_network_do_without_torch():
    code = (
        "import sys, numpy as np\nfrom analysis.ghost import METHODS, make_reconstructor\n"
        "rng = np.random.default_rng(0)\n"
        "for name, method in METHODS.items():\n"
        "    r = make_reconstructor(name, shape=(4, 4))\n"
        "    r.update(rng.random((70, 4, 4)), rng.random(70))\n"
        "    method.fast and name != 'ch_mwcnn' and r.finish()\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
