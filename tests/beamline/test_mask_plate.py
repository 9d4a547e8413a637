import contextlib
import hashlib
import json
import tempfile
import tokenize
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from beamline.mask_designs import gold_plate, hadamard, half_gaussian, make_plate, random_binary
from beamline.mask_plate import MaskPlate, MaskPlateError


@pytest.fixture
def plate():
    return make_plate("small", hadamard(4), 10.0)


def test_identity_is_the_hash_of_content_and_geometry(plate):
    geometry = json.dumps({"shape": [16, 4, 4], "pixel_size_um": 10.0}, sort_keys=True).encode()
    content = geometry + plate.patterns.astype("<f4").tobytes() + plate.positions_mm.astype("<f8").tobytes()
    assert plate.identity == hashlib.sha256(content).hexdigest()


def test_identity_leaves_out_the_name_and_sees_everything_else(plate):
    assert MaskPlate("other", plate.patterns, plate.positions_mm, 10).identity == plate.identity
    changed = plate.patterns.copy()
    changed[3, 1, 1] *= 0.999
    assert MaskPlate("small", changed, plate.positions_mm, 10).identity != plate.identity
    assert MaskPlate("small", plate.patterns, plate.positions_mm + 1e-6, 10).identity != plate.identity
    assert MaskPlate("small", plate.patterns, plate.positions_mm, 10.01).identity != plate.identity


def test_the_arrays_cannot_be_changed_behind_the_identity(plate):
    with pytest.raises(ValueError, match="read-only"):
        plate.patterns[0, 0, 0] = 0
    mine = np.ones((1, 2, 2))
    own = MaskPlate("own", mine, [[0, 0]], 1.0)
    mine[:] = 0
    assert own.patterns.min() == 1


@given(
    patterns=hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.floats(0, 1, width=32)),
    pixel_size=st.floats(0.01, 1e4),
    name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
)
@settings(deadline=None, max_examples=40)
def test_what_is_loaded_is_what_was_saved(tmp_path_factory, patterns, pixel_size, name):
    path = tmp_path_factory.mktemp("plate") / "plate.dat"
    plate = MaskPlate(name, patterns, np.arange(2 * len(patterns)).reshape(-1, 2), pixel_size)
    plate.save(path)
    loaded = MaskPlate.load(path)
    assert loaded.identity == plate.identity
    assert loaded.name == name


@given(index=st.integers(0, 24), off_y=st.floats(-20, 20), off_x=st.floats(-20, 20))
def test_nearest_finds_the_mask_and_the_offset(index, off_y, off_x):
    plate = make_plate("p", np.ones((25, 4, 4)) * 0.5, 10.0)  # masks are 80 um apart
    y, x = plate.positions_mm[index] + np.array([off_y, off_x]) / 1000
    found, offset_y, offset_x = plate.nearest(y, x)
    assert found == index
    assert (offset_y, offset_x) == pytest.approx((off_y, off_x), abs=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"patterns": np.ones((4, 4))}, "shape"),
        ({"patterns": np.full((16, 4, 4), 1.1)}, "0 to 1"),
        ({"patterns": np.full((16, 4, 4), np.nan)}, "0 to 1"),
        ({"patterns": np.ones((0, 4, 4)), "positions_mm": np.ones((0, 2))}, "shape"),
        ({"patterns": "none"}, "array of numbers"),
        ({"positions_mm": np.zeros((15, 2))}, r"\(16, 2\)"),
        ({"positions_mm": np.zeros((16, 2))}, "same position"),
        ({"positions_mm": np.full((16, 2), np.inf)}, "finite"),
        ({"pixel_size_um": 0}, "positive"),
        ({"pixel_size_um": float("nan")}, "positive"),
    ],
)
def test_an_impossible_plate_is_refused(plate, change, says):
    fields = {"patterns": plate.patterns, "positions_mm": plate.positions_mm, "pixel_size_um": 10.0} | change
    with pytest.raises(MaskPlateError, match=says):
        MaskPlate("bad", **fields)


@pytest.mark.parametrize("index", [-1, 16, True, 1.5, 16.0, float("nan"), float("inf"), "1", None])
def test_a_mask_that_is_not_there_is_refused(plate, index):
    with pytest.raises(MaskPlateError, match="mask"):
        plate.checked_index(index)
    assert plate.checked_index(np.int64(15)) == 15


def test_a_file_that_is_no_plate_is_refused(tmp_path):
    with pytest.raises(MaskPlateError, match="absent"):
        MaskPlate.load(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("no plate")
    with pytest.raises(MaskPlateError, match="NPZ"):
        MaskPlate.load(tmp_path / "text.npz")
    np.savez(tmp_path / "half.npz", patterns=np.ones((1, 2, 2)))
    with pytest.raises(MaskPlateError, match="name"):
        MaskPlate.load(tmp_path / "half.npz")
    np.savez(tmp_path / "pickled.npz", name="x", patterns=np.array([None]), positions_mm=np.zeros((1, 2)), pixel_size_um=1)
    with pytest.raises(MaskPlateError, match="cannot read"):
        MaskPlate.load(tmp_path / "pickled.npz")


@pytest.mark.parametrize("error", [zlib.error, NotImplementedError, tokenize.TokenError])
def test_whatever_a_damaged_file_raises_names_the_file(tmp_path, plate, monkeypatch, error):
    plate.save(tmp_path / "damaged.npz")

    def damaged(*_, **__):
        raise error("damaged")

    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", damaged)
    with pytest.raises(MaskPlateError, match=r"damaged\.npz"):
        MaskPlate.load(tmp_path / "damaged.npz")


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_damaged_byte_is_harmless_or_an_error_of_the_plate(where, value):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plate.npz"
        make_plate("p", hadamard(4), 10.0).save(path)
        content = bytearray(path.read_bytes())
        content[int(where * len(content))] = value
        path.write_bytes(content)
        with contextlib.suppress(MaskPlateError):
            MaskPlate.load(path)


@pytest.mark.parametrize("order", ["sequency", "natural"])
def test_hadamard_patterns_are_a_complete_orthogonal_set(order):
    signs = 2 * hadamard(8, order).reshape(64, 64) - 1
    np.testing.assert_array_equal(signs @ signs.T, 64 * np.eye(64))
    assert (signs[0] == 1).all()


def test_sequency_order_goes_from_coarse_to_fine():
    patterns = hadamard(8)
    plate = make_plate("h", patterns, 10.0)
    np.testing.assert_array_equal(plate.sequency_order, np.arange(64))
    shuffled = np.random.default_rng(1).permutation(64)
    order = make_plate("s", patterns[shuffled], 10.0).sequency_order
    changes = [np.abs(np.diff(p, axis=0)).sum() + np.abs(np.diff(p, axis=1)).sum() for p in patterns[shuffled][order]]
    assert changes == sorted(changes)


def test_random_designs_depend_on_the_seed_and_not_on_the_number():
    for design in (random_binary, half_gaussian):
        np.testing.assert_array_equal(design(3, 8, seed=5), design(9, 8, seed=5)[:3])
        assert (design(3, 8, seed=5) != design(3, 8, seed=6)).any()
    assert random_binary(200, 16, 0).mean() == pytest.approx(0.5, abs=0.01)
    grey = half_gaussian(200, 16, 0)
    assert grey.min() >= 0 and grey.max() == 1
    assert grey.mean() == pytest.approx(np.sqrt(2 / np.pi) / 3, rel=0.01)


def test_plates_are_laid_out_centred_and_the_next_mask_is_a_neighbour():
    plate = make_plate("p", np.ones((10, 4, 6)), 100.0, gap_um=50.0)
    np.testing.assert_allclose((plate.positions_mm.max(axis=0) + plate.positions_mm.min(axis=0)) / 2, 0, atol=1e-12)
    steps = np.abs(np.diff(plate.positions_mm, axis=0))
    assert {tuple(step) for step in steps.round(6)} == {(0.0, 0.65), (0.45, 0.0)}


def test_the_gold_plate_is_that_of_the_paper():
    plate = gold_plate(num=64)
    assert (plate.shape, plate.pixel_size_um, len(plate)) == ((64, 64), 10.0, 64)
    bright, dark = plate.patterns.max(), plate.patterns.min()
    assert (bright - dark) / bright == pytest.approx(0.83)
    assert len(gold_plate("random", num=5, seed=3)) == 5


@pytest.mark.parametrize(
    "make",
    [
        lambda: hadamard(6),
        lambda: hadamard(8, "walsh"),
        lambda: random_binary(0, 8, 0),
        lambda: half_gaussian(3, 0, 0),
        lambda: make_plate("p", np.ones((4, 4)), 10.0),
        lambda: make_plate("p", np.ones((4, 4, 4)), 10.0, modulation_depth=1.5),
        lambda: make_plate("p", np.ones((4, 4, 4)), 10.0, gap_um=-1.0),
        lambda: gold_plate("hadamard", num=5000),
        lambda: gold_plate("circles"),
    ],
)
def test_an_impossible_design_is_refused(make):
    with pytest.raises(MaskPlateError):
        make()
