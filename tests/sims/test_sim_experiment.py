import numpy as np
import pytest

from beamline.mask_designs import hadamard, make_plate
from sims.etched_plate import EtchedPlate, Etching
from sims.experiment import Experiment
from sims.physics import Beam
from sims.samples import make_sample

PLATE = make_plate("small", hadamard(16), 10.0)


def experiment(seed=0, etching=None, **options):
    etched = EtchedPlate(PLATE, etching or Etching(0.15, 0.015), seed)
    return Experiment(etched, make_sample("chromosomes", (16, 16), 1), seed=seed, **options)


def scan(made, exposures=30):
    return [made.expose(0.1, tuple(PLATE.positions_mm[index])) for index in range(exposures)]


def test_the_same_seed_gives_the_same_counts():
    assert scan(experiment(3)) == scan(experiment(3))
    assert scan(experiment(3)) != scan(experiment(4))


def test_counts_do_not_depend_on_what_other_exposures_looked_at():
    one, two = experiment(3), experiment(3)
    one.expose(0.1, tuple(PLATE.positions_mm[5]))
    two.expose(0.1, (99.0, 99.0), lit=0.0)
    assert scan(one) == scan(two)


def test_normalised_buckets_are_the_overlap_of_mask_and_sample():
    made = experiment(etching=Etching(), beam=Beam(photons=1e5))
    for index in (0, 7, 200):
        counts = made.expose(1.0, tuple(PLATE.positions_mm[index]))
        measured = (counts.bucket - 200) / (counts.monitor - 50) * made.sample.size / 1.0
        nominal = float((PLATE.patterns[index] * made.sample).sum())
        assert measured == pytest.approx(nominal, rel=2e-3)


def test_a_misplaced_mask_changes_the_bucket():
    made = experiment()
    y, x = PLATE.positions_mm[200]
    assert made.overlap((y + 0.005, x)) != pytest.approx(made.overlap((y, x)), rel=1e-3)


def test_moving_mask_and_sample_together_changes_little():
    made = experiment(etching=Etching())
    y, x = PLATE.positions_mm[3]
    inner = np.zeros((16, 16), np.float32)
    inner[5:11, 5:11] = 1
    made.sample = inner
    assert made.overlap((y + 0.02, x - 0.01), (0.02, -0.01)) == pytest.approx(made.overlap((y, x)))


def test_the_ring_current_falls_while_photons_are_counted_and_not_otherwise():
    made = experiment()
    assert made.ring_current == 400.0
    scan(made, 5)
    assert made.ring_current == pytest.approx(400 * np.exp(-0.5 / 36_000))
    assert made.exposures == 5 and made.beam_time_s == pytest.approx(0.5)


def test_a_sample_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"sample has \(8, 8\) pixels.*'small'.*\(16, 16\)"):
        Experiment(EtchedPlate(PLATE), np.ones((8, 8), np.float32))
