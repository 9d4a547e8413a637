"""Mask sets are kept under the hash of their content."""

import numpy as np
import pytest

from analysis.documents.references import ReferenceDiffers, ReferenceMissing
from analysis.techniques.ghost.mask_sets import MaskSet, MaskStore
from beamline.mask_plate import MaskPlate


@pytest.fixture
def masks():
    patterns = np.random.default_rng(0).random((5, 4, 3)).astype(np.float32)
    return MaskSet("few", patterns, np.arange(10.0).reshape(5, 2), 10.0)


def test_a_mask_set_comes_back_as_it_was(tmp_path, masks):
    store = MaskStore(tmp_path)
    identity = store.save(masks)
    back = store.load(identity)
    np.testing.assert_array_equal(back.patterns, masks.patterns)
    np.testing.assert_array_equal(back.positions_mm, masks.positions_mm)
    assert (back.name, back.pixel_size_um, back.identity) == ("few", 10.0, identity)
    assert store.save(masks) == identity
    assert store.identities() == [identity]


def test_a_plate_of_the_beamline_has_the_same_identity_here(tmp_path, masks):
    plate = MaskPlate("other name", masks.patterns, masks.positions_mm, masks.pixel_size_um)
    assert plate.identity == masks.identity
    assert MaskStore(tmp_path).save(plate) == plate.identity


@pytest.mark.parametrize("change", ["patterns", "positions_mm", "pixel_size_um"])
def test_any_change_of_content_changes_the_identity(masks, change):
    changed = {"name": "few", "patterns": masks.patterns, "positions_mm": masks.positions_mm, "pixel_size_um": 10.0}
    changed[change] = changed[change] + 1
    assert MaskSet(**changed).identity != masks.identity


def test_a_missing_set_is_told_from_one_that_differs(tmp_path, masks):
    store = MaskStore(tmp_path)
    with pytest.raises(ReferenceMissing, match="is not in"):
        store.load(masks.identity)
    identity = store.save(masks)
    other = store.save(MaskSet("few", masks.patterns + 1, masks.positions_mm, 10.0))
    store.path(identity).write_bytes(store.path(other).read_bytes())
    with pytest.raises(ReferenceDiffers, match="has other content"):
        store.load(identity)
    store.path(identity).write_bytes(b"no archive")
    with pytest.raises(ReferenceDiffers, match="cannot be read"):
        store.load(identity)


def test_an_identity_cannot_name_a_file_elsewhere(tmp_path):
    with pytest.raises(ReferenceMissing, match="not the identity"):
        MaskStore(tmp_path).load("../../etc/passwd")


@pytest.mark.parametrize(
    ("patterns", "positions", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 2)), "must be"),
        (np.zeros((2, 3, 3)), np.zeros((3, 2)), "positions_mm must be"),
        (np.full((2, 3, 3), np.nan), np.zeros((2, 2)), "not finite"),
    ],
)
def test_what_is_no_mask_set_is_refused(tmp_path, patterns, positions, message):
    store = MaskStore(tmp_path)
    with pytest.raises(ValueError, match=message):
        store.save(MaskSet("bad", patterns, positions, 1.0))
    assert store.identities() == []
