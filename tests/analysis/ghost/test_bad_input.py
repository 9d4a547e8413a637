"""Whatever comes in, every method gives a sensible image or an error that names what is wrong."""

import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ghost_scans import blobs, scan_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analysis.ghost import METHODS, make_reconstructor, memory, offline, reconstruct

SMALL = {
    "steps": 4,
    "live_steps": 2,
    "splits": 2,
    "permutations": 1,
    "features": 4,
    "levels": 1,
    "layers": 2,
    "embeddings": 4,
    "tolerance": 1e-2,
    "max_iterations": 60,
}
LINEAR = ("correlation", "differential", "normalised", "least_squares")
methods = pytest.mark.parametrize("method", METHODS)


def small(method):
    return {name: value for name, value in SMALL.items() if name in METHODS[method].defaults}


def sensible(result, shape, *, nonnegative):
    assert result.image.dtype == result.spread.dtype == np.float32
    assert result.image.shape == result.spread.shape == shape
    assert np.isfinite(result.image).all()
    assert (np.isnan(result.spread) | (result.spread >= 0)).all()
    assert not nonnegative or result.image.min() >= 0


# Data that are unusual


LAYOUTS = {
    "plain": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "strided": lambda array: np.repeat(array, 2, axis=0)[::2],
    "reversed": lambda array: np.ascontiguousarray(array[::-1])[::-1],
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "float64": lambda array: array.astype(np.float64),
    "lists": lambda array: array.tolist(),
}


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.fixture(scope="module")
def data():
    return scan_of(blobs((7, 5), seed=1), 40, photons=100)


@methods
@pytest.mark.parametrize("layout", [*LAYOUTS, "read-only"])
def test_layout_in_memory_changes_no_bit(method, layout, data):
    arranged = LAYOUTS.get(layout, read_only)
    plain, other = (
        reconstruct(change(data.masks), change(data.buckets), method, errors=change(data.errors), **small(method))
        for change in (np.array, arranged)
    )
    assert other.image.tobytes() == plain.image.tobytes()


@st.composite
def scans(draw):
    """Masks, buckets and errors of any size and type, as a careless user may have them."""
    shape = draw(st.sampled_from([(1, 1), (1, 5), (7, 1), (2, 3), (5, 5), (8, 4), (11, 3)]))
    number = draw(st.integers(1, 50))  # fewer or more than pixels
    rng = np.random.default_rng(draw(st.integers(0, 100)))
    whole = rng.integers(0, 2 if draw(st.booleans()) else 100, size=(number, *shape))
    masks = whole.astype(draw(st.sampled_from(["f2", "f4", ">f8", "?", "u1", "i1", "i8"])))
    match draw(st.sampled_from(["as drawn", "repeated", "some dark", "all dark", "all alike", "one pixel open"])):
        case "repeated":
            masks = masks[rng.integers(0, max(1, number // 3), number)]
        case "some dark":
            masks[rng.random(number) < 0.5] = 0
        case "all dark":
            masks[:] = 0
        case "all alike":
            masks[:] = masks[0]
        case "one pixel open":
            masks[:, 1:] = 0
            masks[:, :, 1:] = 0
    buckets = {
        "counts": lambda: rng.poisson(20, number),
        "signed": lambda: rng.normal(size=number).astype(np.float16),
        "constant": lambda: np.full(number, 7.5),
        "zero": lambda: np.zeros(number, dtype=bool),
        "one huge": lambda: np.where(np.arange(number) == 0, 1e20, 1.0),
    }
    kind = draw(st.sampled_from(sorted(buckets)))
    values = buckets[kind]()
    errors = {"none": None, "wide": 10.0 ** rng.uniform(-20, 20, number), "poisson": "poisson"}
    known = draw(st.sampled_from(["none", "wide", *(["poisson"] if kind in ("counts", "constant", "zero") else [])]))
    return masks, values, errors[known]


@methods
@settings(max_examples=15, deadline=None)
@given(scan=scans(), nonnegative=st.booleans(), seed=st.sampled_from([0, 1, 2**63 - 1]), cut=st.floats(0, 1))
def test_any_data_give_sensible_images(method, scan, nonnegative, seed, cut):
    masks, buckets, errors = scan
    options = {"nonnegative": nonnegative, "seed": seed, **small(method)}
    whole = reconstruct(masks, buckets, method, errors=errors, **options)
    stream = make_reconstructor(method, shape=masks.shape[1:], **options)
    first = slice(0, max(1, int(cut * len(masks))))
    rest = slice(first.stop, None)
    for part in (first, rest):
        stream.update(masks[part], buckets[part], errors if errors is None or isinstance(errors, str) else errors[part])
        sensible(stream.result(), masks.shape[1:], nonnegative=nonnegative and method not in LINEAR)
    sensible(whole, masks.shape[1:], nonnegative=nonnegative and method not in LINEAR)
    assert stream.finish().image.tobytes() == whole.image.tobytes()


@methods
@settings(max_examples=10, deadline=None)
@given(buckets=st.integers(-28, 27), masks=st.integers(-14, 14))
def test_image_scales_with_the_buckets_and_against_the_masks(method, buckets, masks, data):
    image = reconstruct(data.masks, data.buckets, method, **small(method)).image
    units = 10.0**buckets, 10.0**masks
    assume(1e-37 < units[0] / units[1] < 1e36)  # what single precision holds
    scaled = reconstruct(data.masks * units[1], data.buckets * units[0], method, **small(method))
    sensible(scaled, image.shape, nonnegative=False)
    np.testing.assert_allclose(scaled.image * (units[1] / units[0]), image, atol=1e-2 * np.abs(image).max())


@methods
def test_one_channel_of_a_stack_is_the_same_as_none(method, data):
    alone, stacked = (reconstruct(data.masks, buckets, method, **small(method)) for buckets in (data.buckets, data.buckets[None]))
    assert stacked.image.shape == (1, 7, 5)
    assert stacked.image.tobytes() == alone.image.tobytes()


@methods
def test_numbers_of_numpy_are_taken_as_options(method, data):
    options = {name: np.float32(value) if isinstance(value, float) else np.int64(value) for name, value in small(method).items()}
    result = reconstruct(data.masks, data.buckets, method, seed=np.int64(2), nonnegative=np.bool_(False), **options)
    assert {type(value) for value in result.options.values()} <= {int, float, bool, str, type(None)}


# Counts


@methods
def test_poisson_errors_are_the_roots_of_counts(method, data):
    counts = np.round(100 * data.buckets)
    counts[3] = 0
    poisson, given_ = (
        reconstruct(data.masks, counts, method, errors=errors, **small(method))
        for errors in ("poisson", np.sqrt(np.maximum(counts, 1)))
    )
    assert poisson.image.tobytes() == given_.image.tobytes()


@methods
def test_negative_buckets_are_no_counts(method, data):
    buckets = data.buckets.copy()
    buckets[[4, 9]] = -1.0
    with pytest.raises(ValueError, match=r"every bucket must be a count, 0 or more, .* leave out realization 4, 9 \(2 in all\)"):
        reconstruct(data.masks, buckets, method, errors="poisson", **small(method))
    with pytest.raises(ValueError, match='"poisson" for buckets that are counts'):
        reconstruct(data.masks, buckets, method, errors="gaussian", **small(method))


# Input that makes no sense


def changed(array, index, value):
    array = np.array(array, dtype=float)
    array[index] = value
    return array


SENSELESS = {
    "no masks": ({"masks": None}, "masks must be real numbers"),
    "one mask alone": ({"masks": np.ones((7, 5))}, r"masks must have the shape \(realizations, height, width\)"),
    "masks of objects": ({"masks": np.ones((40, 7, 5), dtype=object)}, "masks must be real numbers, not object"),
    "masks of text": ({"masks": np.full((40, 7, 5), "1")}, "masks must be real numbers"),
    "complex masks": ({"masks": np.ones((40, 7, 5), dtype=complex)}, "masks must be real numbers, not complex128"),
    "masks of several sizes": ({"masks": [[[1.0, 2.0]], [[3.0]]]}, "masks must be an array of numbers with rows of one length"),
    "masks without pixels": ({"masks": np.ones((40, 0, 5))}, "at least one pixel"),
    "too few masks": ({"masks": np.ones((39, 7, 5))}, "39 masks but 40 buckets"),
    "no masks at all": ({"masks": np.ones((0, 7, 5)), "buckets": []}, "there are no realizations"),
    "NaN in a mask": ({"masks": changed(np.ones((40, 7, 5)), (3, 1, 1), np.nan)}, "mask must be finite; leave out realization 3"),
    "infinite mask": ({"masks": changed(np.ones((40, 7, 5)), (39, 0, 0), -np.inf)}, "leave out realization 39"),
    "enormous mask": ({"masks": changed(np.ones((40, 7, 5)), (5, 0, 0), 1e300)}, r"from -1e\+15 to 1e\+15.* realization 5 "),
    "tiny masks": ({"masks": np.full((40, 7, 5), 1e-50)}, "no mask holds a value above 1e-15"),
    "no buckets": ({"buckets": None}, "buckets must be real numbers"),
    "buckets with a gradient": ({"buckets": torch.ones(40, requires_grad=True)}, "buckets can't be read as an array: .*grad"),
    "one bucket": ({"buckets": 3.0}, "buckets must have the shape"),
    "buckets of text": ({"buckets": ["1"] * 40}, "buckets must be real numbers"),
    "buckets as a column": ({"buckets": np.ones((40, 1))}, "40 masks but 1 buckets.*; turn them"),
    "channels of nothing": ({"buckets": np.ones((0, 40))}, "no channel"),
    "masked buckets": ({"buckets": np.ma.masked_equal(np.arange(40), 3)}, "buckets hold masked values"),
    "NaN bucket": ({"buckets": changed(np.ones(40), 7, np.nan)}, "every bucket must be finite; leave out realization 7"),
    "infinite buckets": ({"buckets": np.full(40, np.inf)}, r"leave out realization 0, 1, 2, 3, 4, \.\.\. \(40 in all\)"),
    "enormous bucket": ({"buckets": changed(np.ones(40), 7, 1e200)}, r"from -1e\+30 to 1e\+30.* realization 7 "),
    "tiny buckets": ({"buckets": np.full(40, 1e-100)}, "no bucket is above 1e-30"),
    "one error for all": ({"errors": 0.5}, r"errors must have the buckets' shape \(40,\), not \(\)"),
    "errors of two channels": ({"errors": np.ones((2, 40))}, r"errors must have the buckets' shape \(40,\), not \(2, 40\)"),
    "negative error": (
        {"errors": changed(np.ones(40), 2, -1.0)},
        "every error must be positive and finite; leave out realization 2",
    ),
    "zero error": ({"errors": np.zeros(40)}, "every error must be positive and finite"),
    "complex errors": ({"errors": np.ones(40, dtype=complex)}, "errors must be real numbers"),
    "negative seed": ({"seed": -1}, "seed must be a whole number from 0"),
    "enormous seed": ({"seed": 2**64}, "seed must be a whole number from 0 to"),
    "seed of text": ({"seed": "1"}, "seed must be"),
    "truth as seed": ({"seed": True}, "seed must be"),
    "number as device": ({"device": 0}, "device must be a name"),
    "no device": ({"device": None}, "device must be a name"),
    "perhaps nonnegative": ({"nonnegative": "perhaps"}, "nonnegative must be true or false"),
    "no time": ({"time_budget_s": 0}, "time_budget_s must be above 0 seconds"),
    "negative time": ({"time_budget_s": -1.0}, "time_budget_s must be above 0 seconds"),
    "NaN as time": ({"time_budget_s": float("nan")}, "time_budget_s must be above 0 seconds"),
    "more time than a float holds": ({"time_budget_s": 10**400}, "time_budget_s must be above 0 seconds"),
    "text as time": ({"time_budget_s": "1 s"}, "time_budget_s must be above 0 seconds"),
    "progress that can't be called": ({"progress": True}, "progress must be a function"),
    "option that isn't": ({"nonegative": True}, "has no option nonegative; its options are .*; did you mean nonnegative?"),
    "reserved option": ({"shape": (3, 3)}, "has no option shape"),
}


@methods
@pytest.mark.parametrize("case", SENSELESS)
def test_senseless_input_is_named_whatever_the_method(method, case, data):
    change, words = SENSELESS[case]
    with pytest.raises(ValueError, match=words):
        reconstruct(**{"masks": data.masks, "buckets": data.buckets, "method": method, **small(method), **change})


@methods
@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (lambda masks, buckets: (masks[:, :6], buckets), r"masks must have the shape \(realizations, 7, 5\), not \(10, 6, 5\)"),
        (lambda masks, buckets: (masks[:9], buckets), "9 masks but 10 buckets"),
        (lambda masks, buckets: (masks, changed(buckets, 3, np.nan)), "leave out realization 23"),
        (lambda masks, buckets: (changed(masks, (4, 0, 0), np.inf), buckets), "leave out realization 24"),
        (lambda masks, buckets: (masks, buckets, -buckets), "every error must be positive"),
        (lambda masks, buckets: (masks, -buckets, "poisson"), "leave out realization 20, 21"),
        (lambda masks, buckets: (masks, buckets[:, None]), "buckets must have one axis"),
    ],
)
def test_senseless_batch_is_refused_and_changes_nothing(method, batch, words, data):
    refused, plain = (make_reconstructor(method, shape=(7, 5), **small(method)) for _ in range(2))
    for one in (refused, plain):
        one.update(data.masks[:20], data.buckets[:20])
    with pytest.raises(ValueError, match=words):
        refused.update(*batch(data.masks[20:30], data.buckets[20:30]))
    for one in (refused, plain):
        one.update(data.masks[30:], data.buckets[30:])
    assert refused.count == plain.count == 30
    assert refused.finish().image.tobytes() == plain.finish().image.tobytes()


@methods
@pytest.mark.parametrize("shape", [(2.5, 3), ("4", "4"), (0, 3), (-1, 3), (3,), (3, 3, 3), None, 9])
def test_senseless_shape_is_named(method, shape):
    with pytest.raises(ValueError, match="shape must"):
        make_reconstructor(method, shape=shape)


@methods
@pytest.mark.parametrize("expected", [-1, 2.5, "40", True])
def test_senseless_number_of_realizations_is_named(method, expected):
    with pytest.raises(ValueError, match="expected must be a whole number from 0"):
        make_reconstructor(method, shape=(3, 3), expected=expected)


@pytest.mark.parametrize("method", [None, 3, "", "TV", ["tv"], "tvv"])
def test_unknown_method_is_answered_with_a_list(method, data):
    with pytest.raises(ValueError, match=r"unknown method .*; the methods are correlation, differential"):
        reconstruct(data.masks, data.buckets, method)


def test_a_name_that_is_nearly_right_is_guessed(data):
    with pytest.raises(ValueError, match=r"; did you mean least_squares\?"):
        reconstruct(data.masks, data.buckets, "leastsquares")


@methods
@settings(max_examples=20, deadline=None)
@given(
    value=st.sampled_from(
        [None, "much", [], {}, -1, 0, float("nan"), float("inf"), 1e300, -1e300, -(10**400), True, 1 + 1j, np.ones(2), b"1"]
    ),
    position=st.integers(0, 20),
)
def test_any_value_of_any_option_gives_an_image_or_an_error(method, value, position, data):
    names = sorted(METHODS[method].defaults) or ["nonnegative"]
    name = names[position % len(names)]
    try:
        result = reconstruct(data.masks, data.buckets, method, **{**small(method), name: value})
    except ValueError as error:
        assert name in str(error)
    else:
        sensible(result, (7, 5), nonnegative=False)


@pytest.mark.parametrize("method", ["n2g", "n2i", "gidc"])
def test_more_levels_than_an_image_can_be_halved_are_no_more(method, data):
    few, many = (reconstruct(data.masks, data.buckets, method, **{**small(method), "levels": levels}) for levels in (3, 10**9))
    assert many.image.tobytes() == few.image.tobytes()
    assert many.options["levels"] == few.options["levels"] < 4


@pytest.mark.parametrize("method", ["n2g", "n2i"])
def test_more_splits_than_realizations_are_as_many_as_those(method, data):
    result = reconstruct(data.masks, data.buckets, method, **{**small(method), "splits": 1000})
    assert result.options["splits"] <= 40
    again = reconstruct(data.masks, data.buckets, method, **result.options)
    assert again.image.tobytes() == result.image.tobytes()


@methods
@pytest.mark.parametrize("errors", [None, "poisson", "given"])
def test_senseless_channel_is_named_before_time_is_spent_on_others(method, errors, data):
    told, counts = [], np.rint(100 * np.stack([data.buckets] * 3))
    if errors == "given":
        errors = changed(np.ones((3, 40)), (2, 7), 0.0)
    else:
        counts[2, 7] = np.nan
    with pytest.raises(ValueError, match=r"channel 2: every .*; leave out realization 7"):
        reconstruct(data.masks, counts, method, errors=errors, progress=told.append, **small(method))
    assert told == []


@pytest.mark.parametrize("method", ["tv", "gidc", "inr", "n2i", "n2g"])
def test_buckets_below_zero_show_nothing_where_nothing_is_negative(method, data):
    assert not reconstruct(data.masks, -data.buckets, method, **small(method)).image.any()
    signed = reconstruct(data.masks, -data.buckets, method, nonnegative=False, **small(method)).image
    assert signed.min() < 0


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.fast])
@pytest.mark.parametrize("device", ["banana", "cuda:99", "meta", "hpu", ""])
def test_device_that_is_not_there_is_named(method, device, data):
    with pytest.raises(ValueError, match=rf"device '{device}' can't be used: .*; use cpu"):
        reconstruct(data.masks, data.buckets, method, device=device, **small(method))


# Time and memory


@methods
def test_time_budget_that_is_too_short_says_what_would_do(method, data):
    def within(seconds, buckets):
        return reconstruct(data.masks, buckets, method, time_budget_s=seconds, **small(method))

    if METHODS[method].fast:
        sensible(within(1e-9, data.buckets), (7, 5), nonnegative=False)
        return
    for buckets in (data.buckets, np.stack([data.buckets] * 4)):
        with pytest.raises(ValueError, match=r"time_budget_s is too short: .*; give \d+\.\d s or more") as refused:
            within(1e-9, buckets)
        needed = float(re.search(r"give (\S+) s", str(refused.value))[1])
        assert needed > 0
        # with room for what else the machine does
        sensible(within(10 * needed, buckets), (*buckets.shape[:-1], 7, 5), nonnegative=False)


@methods
def test_endless_time_is_no_limit(method, data):
    limited, free = (
        reconstruct(data.masks, data.buckets, method, time_budget_s=seconds, **small(method)) for seconds in (np.inf, None)
    )
    assert limited.image.tobytes() == free.image.tobytes()


@methods
@pytest.mark.parametrize("seconds", [0, -1, float("nan"), None, "1", True])
def test_streaming_reconstruction_refuses_senseless_time(method, seconds):
    with pytest.raises(ValueError, match="time_budget_s must be above 0 seconds"):
        make_reconstructor(method, shape=(3, 3)).limit_time(seconds)


@methods
@pytest.mark.parametrize("dtype", ["u1", "f4", "?"])
def test_masks_in_a_file_are_read_in_parts(method, dtype, data, tmp_path, monkeypatch):
    masks = (data.masks > 0.6).astype(dtype)
    path = tmp_path / "masks.npy"
    np.save(path, masks)
    whole = reconstruct(masks, data.buckets, method, **small(method))
    monkeypatch.setattr(offline, "rows_at_once", lambda pixels: 3)
    opened = np.load(path, mmap_mode="r")
    assert reconstruct(opened, data.buckets, method, **small(method)).image.tobytes() == whole.image.tobytes()
    with pytest.raises(ValueError, match="leave out realization 17"):
        reconstruct(opened, changed(data.buckets, 17, np.nan), method, **small(method))


WITHOUT_MEMORY = """
import resource, sys
import numpy as np
from analysis.ghost import METHODS, reconstruct
if not METHODS[sys.argv[1]].fast:
    import torch
used = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (used + 2**27, -1))
masks = np.memmap(sys.argv[2], dtype=np.uint8, mode="w+", shape=(2**11, 2**11, 2**11))  # a file with a hole of 8.6 GB
try:
    reconstruct(masks, np.ones(2**11), sys.argv[1])
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory can be limited so on Linux only")
@pytest.mark.parametrize("method", ["least_squares", "tv", "n2g"])
def test_masks_larger_than_memory_are_refused_with_their_size(method, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MEMORY, method, str(tmp_path / "masks")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert re.match(rf"{method} finds no memory for 2048 masks of 2048x2048 pixels .*take fewer realizations", done.stdout)


@pytest.mark.parametrize("method", ["least_squares", "tv", "ch_mwcnn", "n2g"])
def test_masks_that_take_the_last_memory_are_refused(method, monkeypatch):
    def take(total):
        monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(total=total, available=0.01 * total))
        make_reconstructor(method, shape=(16, 16)).update(np.random.default_rng(0).random((512, 16, 16)), np.ones(512))

    take(total=2**34)  # whatever took the rest, it wasn't half a megabyte
    with pytest.raises(MemoryError, match="no memory for 512 masks of 16x16 pixels"):
        take(total=2**20)


@methods
def test_a_number_of_pixels_that_no_machine_holds_is_refused(method):
    with pytest.raises(MemoryError, match="no memory for 1000000 masks of 1000000x1000000 pixels"):
        make_reconstructor(method, shape=(10**6, 10**6), expected=10**6)
