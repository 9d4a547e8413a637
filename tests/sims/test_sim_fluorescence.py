"""The simulated fluorescence: what a beamline scientist would check on the real one."""

from dataclasses import replace

import numpy as np
import pytest

from sims.emission import Emission, capillary, iron_foil
from sims.fluorescence import BIN_KEV, DetectorElement, Spectrometer, detector_elements

MASK = np.ones((4, 4))


ONE = (DetectorElement(tail=0.0),)


def spectrometer(elements=ONE, **maps):
    shape = (4, 4)
    images = {name: np.full(shape, value) for name, value in maps.items()}
    return Spectrometer(Emission(images, np.zeros(shape), np.ones(shape)), 11.1, tuple(elements))


def around(spectrum, kev, half=0.25):
    return spectrum[int((kev - half) / BIN_KEV) : int((kev + half) / BIN_KEV)].sum()


def test_lines_are_where_they_belong_with_their_relative_strengths():
    (mean,) = spectrometer(Cu=0.01).expected(MASK, 1e6)
    assert abs(np.argmax(mean) * BIN_KEV - 8.045) < 0.01
    assert around(mean, 8.905) / around(mean, 8.04) == pytest.approx(0.135, abs=0.02)  # K-beta to K-alpha of copper


def test_peaks_widen_with_energy():
    def width(element, kev):
        (mean,) = spectrometer(**{element: 0.01}).expected(MASK, 1e6)
        energies = np.arange(len(mean)) * BIN_KEV
        part = np.where(np.abs(energies - kev) < 0.16, mean, 0)
        part = np.maximum(part - part.max() / 2, 0)
        return np.count_nonzero(part) * BIN_KEV

    assert 0.11 < width("Ca", 3.69) < width("Fe", 6.40) < width("Cu", 8.04) < 0.2


def test_dead_time_and_pile_up_grow_with_the_rate():
    made = [spectrometer(Cu=0.1).expose(MASK, photons, 1.0, index=0, seed=0)[0] for photons in (1e5, 5e7)]
    slow, fast = made
    assert slow.live_s > 0.98 and fast.live_s < 0.5
    assert fast.output_hz == pytest.approx(fast.input_hz * fast.live_s, rel=0.1)
    sums = [around(one.counts, 16.09, 0.4) / one.counts.sum() for one in made]
    assert sums[1] > 10 * sums[0] + 0.01


def test_counts_are_poisson_and_follow_from_seed_and_number():
    made = spectrometer(Fe=0.01)
    counts = np.array([made.expose(MASK, 1e4, 1.0, index=index, seed=3)[0].counts.sum() for index in range(200)])
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=0.35)
    again = made.expose(MASK, 1e4, 1.0, index=7, seed=3)[0].counts.sum()
    assert again == counts[7] != made.expose(MASK, 1e4, 1.0, index=7, seed=4)[0].counts.sum()


def test_a_dead_element_counts_nothing_and_no_light_gives_nothing():
    made = spectrometer(detector_elements(2), Fe=0.01)
    alive, dead = made.expose(MASK, 1e5, 1.0, index=0, seed=0, dead=frozenset({1}))
    assert alive.counts.sum() > 0 and not dead.counts.any() and dead.live_s == 1.0
    assert not any(one.counts.any() for one in made.expose(MASK, 0.0, 1.0, index=0, seed=0))


def test_the_capillary_has_wires_that_shadow_each_other():
    made = capillary((32, 32), 20.0, 11.1)
    copper, iron = made.elements["Cu"], made.elements["Fe"]
    columns = copper.sum(axis=0)
    left, right = columns[:16].sum(), columns[16:].sum()
    assert 0 < left < 0.5 * right  # the detector is on the right: iron and copper are in the way
    assert not (copper > 0.1 * copper.max())[iron > 0.1 * iron.max()].any()
    assert {"Ca", "Cu", "Fe"} <= set(made.elements) and 0 <= made.transmission.min() < 0.05 < made.transmission.max() <= 1


def test_below_its_edge_an_element_does_not_fluoresce():
    assert "Cu" not in capillary((16, 16), 20.0, 8.5).elements
    assert iron_foil(np.full((4, 4), 0.5), 6.0).elements == {}


def test_more_iron_gives_more_light_up_to_a_limit():
    thin, thick, opaque = (float(iron_foil(np.full((1, 1), part), 11.1).elements["Fe"][0, 0]) for part in (0.99, 0.5, 1e-6))
    assert 0 < thin < thick < opaque < 0.5


def test_elements_of_the_detector_differ_and_depend_on_the_seed():
    first, again, other = detector_elements(4, 0), detector_elements(4, 0), detector_elements(4, 1)
    assert first == again != other and len({one.gain for one in first}) == 4
    assert replace(first[0], gain=1.0) != first[0]
