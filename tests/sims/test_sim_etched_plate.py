import numpy as np
import pytest

from beamline.mask_designs import copper_plate, gold_plate, hadamard, make_plate
from sims.etched_plate import COPPER, GOLD, EtchedPlate, Etching, etch

IDEAL = Etching()


@pytest.fixture(scope="module")
def plate():
    return make_plate("small", hadamard(8), 10.0, gap_um=40.0, modulation_depth=0.83)


def test_an_ideal_mask_in_its_place_is_the_design(plate):
    etched = EtchedPlate(plate, IDEAL)
    for index in (0, 5, 63):
        np.testing.assert_allclose(etched.transmission(*plate.positions_mm[index]), plate.patterns[index], atol=1e-6)


def test_a_stage_that_is_too_far_moves_the_pattern_as_far(plate):
    y, x = plate.positions_mm[9]
    moved = EtchedPlate(plate, IDEAL).transmission(y + 0.010, x - 0.005)
    pattern = plate.patterns[9]
    np.testing.assert_allclose(moved[1:, :-1], (pattern[:-1, :-1] + pattern[:-1, 1:]) / 2, atol=1e-6)
    # The frame around the mask has come into the field.
    np.testing.assert_allclose(moved[0], 0.17, atol=1e-6)


def test_between_two_masks_both_are_seen(plate):
    first, second = plate.positions_mm[0], plate.positions_mm[1]
    middle = (first + second) / 2
    field = EtchedPlate(plate, IDEAL).transmission(*middle)
    axis = int(np.argmax(np.abs(second - first)))
    forward = second[axis] > first[axis]
    columns = np.moveaxis(field, axis, 0)
    np.testing.assert_allclose(columns[2:6], 0.17, atol=1e-6)  # the gap of 4 pixels
    patterns = [np.moveaxis(plate.patterns[index], axis, 0) for index in (0, 1)]
    low, high = (patterns[1], patterns[0]) if forward else (patterns[0], patterns[1])
    np.testing.assert_allclose(columns[:2], low[6:], atol=1e-6)
    np.testing.assert_allclose(columns[6:], high[:2], atol=1e-6)


def test_beside_the_plate_there_is_metal(plate):
    np.testing.assert_allclose(EtchedPlate(plate, GOLD).transmission(50.0, 50.0), 0.17, atol=1e-6)


@pytest.mark.parametrize(("made", "depth", "etching"), [(copper_plate, 0.75, COPPER), (lambda: gold_plate(num=64), 0.83, GOLD)])
def test_the_modulation_depth_is_the_papers(made, depth, etching):
    plate = made()
    field = EtchedPlate(plate, etching).transmission(*plate.positions_mm[1])
    assert 1 - field.min() / field.max() == pytest.approx(depth, abs=0.05)
    assert (field.min(), field.max()) != (plate.patterns[1].min(), plate.patterns[1].max())


def test_a_sloped_edge_softens_the_pixels_beside_it(plate):
    y, x = plate.positions_mm[1]
    sharp, sloped = (EtchedPlate(plate, Etching(slope=slope)).transmission(y, x) for slope in (0.0, 0.4))
    change = np.abs(sloped - sharp)[2:-2, 2:-2]
    # A ramp as wide as 0.4 pixels takes an eighth of its width from one pixel and gives it to the next.
    assert change.max() == pytest.approx(0.4 / 8 * 0.83, rel=1e-4)
    assert (change > 1e-9).sum() < change.size


def test_flaws_depend_on_the_seed_and_the_mask_alone(plate):
    one, two = EtchedPlate(plate, GOLD, seed=1), EtchedPlate(plate, GOLD, seed=1)
    for index in range(40):
        one.transmission(*plate.positions_mm[index])
    place = plate.positions_mm[7]
    np.testing.assert_array_equal(one.transmission(*place), two.transmission(*place))
    assert not np.array_equal(two.transmission(*place), EtchedPlate(plate, GOLD, seed=2).transmission(*place))


def test_fine_structure_etches_worse():
    stripes = np.zeros((64, 64))
    stripes[::2] = 1
    coarse = np.zeros((64, 64))
    coarse[:32] = 1
    rms = [
        np.sqrt(np.mean((etch(0.17 + 0.83 * p, 0.17, 0.05, np.random.default_rng(0)) - 0.17 - 0.83 * p)[p == 0] ** 2))
        for p in (coarse, stripes)
    ]
    assert rms[0] == pytest.approx(0.05 * 0.17 * np.log(1 / 0.17), rel=0.1)
    assert rms[1] > 1.8 * rms[0]


def test_a_plate_without_metal_or_with_perfect_metal_can_be_etched():
    for depth in (1.0, 1e-3):
        made = make_plate("edge case", hadamard(4), 10.0, modulation_depth=depth)
        field = EtchedPlate(made, GOLD).transmission(*made.positions_mm[3])
        assert np.isfinite(field).all() and field.min() >= 0 and field.max() <= 1


def test_only_the_masks_of_late_are_held_in_memory():
    made = gold_plate()
    etched = EtchedPlate(made, GOLD)
    for index in range(100):
        etched.transmission(*made.positions_mm[index])
    assert len(etched._etched) <= 16


@pytest.mark.parametrize("options", [{"slope": -0.1}, {"slope": 1.5}, {"slope": float("nan")}, {"unevenness": -1}])
def test_impossible_etching_is_refused(options):
    with pytest.raises(ValueError, match="must be 0 to 1"):
        Etching(**options)
