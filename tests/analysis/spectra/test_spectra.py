"""Spectra that are made: calibration, templates, fit and regions against what is known of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from analysis.spectra.calibration import CalibrationError, calibrated, check_elastic_line
from analysis.spectra.fit import SpectrumFit
from analysis.spectra.lines import ElementUnknown, compton_kev, lines_of
from analysis.spectra.regions import RegionCounts
from analysis.spectra.response import Calibration, peak
from analysis.spectra.templates import templates_of

BEAM = 11.1
ELEMENTS = ("Ca", "Fe", "Cu", "Zn")
TRUE = Calibration(offset_kev=-0.02, slope_kev=0.00507, noise_kev=0.05, fano=0.12, tail=0.02)


def mean_spectrum(calibration: Calibration = TRUE, **counts: float) -> np.ndarray:
    templates = templates_of(ELEMENTS, BEAM, calibration, 4096)
    amplitudes = np.array([counts.get(name, 0.0) for name in templates.names])
    whole = np.zeros(4096)
    whole[templates.first : templates.last] = templates.columns @ amplitudes
    return whole


USUAL = {"Ca": 5e3, "Fe": 2e4, "Cu": 4e4, "elastic": 1e4, "compton": 1e4, "background3": 5e3}


def test_lines_of_an_element_are_its_k_lines_or_the_ones_that_the_beam_reaches() -> None:
    copper = lines_of("Cu", BEAM)
    assert sum(line.strength for line in copper) == pytest.approx(1.0)
    strongest = max(copper, key=lambda line: line.strength)
    assert strongest.energy_kev == pytest.approx(8.048, abs=0.01)
    assert max(line.energy_kev for line in lines_of("Cu", 5.0)) < 1.1  # L lines only
    assert lines_of("Pb", 20.0) == lines_of("Pb_L", 20.0)
    assert compton_kev(20.0) == pytest.approx(19.25, abs=0.01)


@pytest.mark.parametrize(("element", "said"), [("Xx", "no chemical element"), ("Cu_Q", "K, L or M"), ("Ag_K", "excites")])
def test_what_is_no_element_or_has_no_line_is_named(element: str, said: str) -> None:
    with pytest.raises(ElementUnknown, match=said):
        lines_of(element, BEAM)


@pytest.mark.parametrize("tail", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("wider", [0.0, 0.1])
def test_a_peak_holds_one_count_whatever_its_shape(tail: float, wider: float) -> None:
    counts = peak(replace(TRUE, tail=tail), 4096, 8.0, wider_kev=wider)
    assert counts.sum() == pytest.approx(1.0, abs=1e-5) and (counts >= 0).all()
    rebinned = peak(replace(TRUE, tail=tail).rebinned(4), 1024, 8.0, wider_kev=wider)
    np.testing.assert_allclose(rebinned, counts.reshape(-1, 4).sum(axis=1), atol=1e-9)


@pytest.mark.parametrize("start", [Calibration(), Calibration(0.05, 0.00495), Calibration(-0.06, 0.0052)])
def test_the_calibration_finds_energies_and_widths(start: Calibration) -> None:
    spectrum = np.random.default_rng(0).poisson(mean_spectrum(**USUAL))
    found = calibrated(spectrum, start, ELEMENTS, BEAM)
    for kev in (3.69, 6.4, 8.05, BEAM):
        place = TRUE.bin_of(kev)
        assert found.offset_kev + found.slope_kev * place == pytest.approx(kev, abs=0.005)
        assert found.sigma_kev(kev) == pytest.approx(TRUE.sigma_kev(kev), rel=0.05)


def test_an_axis_that_is_wrong_by_two_is_refused_with_the_right_slope() -> None:
    spectrum = np.random.default_rng(0).poisson(mean_spectrum(**USUAL))
    with pytest.raises(CalibrationError, match=r"the slope is 0.0050\d+ keV a bin instead of 0.01"):
        calibrated(spectrum, Calibration(slope_kev=0.01), ELEMENTS, BEAM)
    check_elastic_line(spectrum, TRUE, BEAM)


def test_too_few_counts_are_said() -> None:
    with pytest.raises(CalibrationError, match="12 counts are too few"):
        calibrated(np.full(4, 3), Calibration(), ELEMENTS, BEAM)


def test_noise_alone_does_not_converge_to_a_calibration_that_is_far_off() -> None:
    noise = np.random.default_rng(0).poisson(5.0, 4096)
    try:
        found = calibrated(noise, Calibration(), ELEMENTS, BEAM)
    except CalibrationError as error:
        assert "axis is wrong" in str(error) or "does not converge" in str(error)
    else:
        assert abs(found.slope_kev / 0.005 - 1) < 0.07


def test_counts_and_errors_are_true_where_lines_overlap() -> None:
    """K-beta of copper lies on K-alpha of zinc."""
    mean = mean_spectrum(Ca=200, Fe=800, Cu=1500, Zn=300, elastic=500, compton=500, background3=300)
    fit = SpectrumFit(templates_of(ELEMENTS, BEAM, TRUE, 4096), 50 * mean)
    rng = np.random.default_rng(1)
    found = [fit(rng.poisson(mean)) for _ in range(400)]
    counts = np.array([one.counts[:4] for one in found])
    errors = np.array([one.errors[:4] for one in found])
    np.testing.assert_allclose(counts.mean(axis=0), [200, 800, 1500, 300], rtol=0.02)
    np.testing.assert_allclose(counts.std(axis=0), errors.mean(axis=0), rtol=0.12)


def test_what_is_not_there_is_nothing_within_its_error() -> None:
    mean = mean_spectrum(Fe=800, Cu=1500, elastic=500, compton=500)
    fit = SpectrumFit(templates_of(ELEMENTS, BEAM, TRUE, 4096), 50 * mean)
    rng = np.random.default_rng(2)
    calcium = [fit(rng.poisson(mean)) for _ in range(100)]
    assert np.mean([one.counts[0] < 2 * one.errors[0] for one in calcium]) > 0.9
    empty = fit(np.zeros(4096, dtype=int))
    assert (empty.counts == 0).all() and (empty.errors > 0).all()


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.floats(0, 1e4), min_size=6, max_size=6), seed=st.integers(0, 1000))
def test_the_reduced_fit_is_the_non_negative_one(counts: list[float], seed: int) -> None:
    names = [*ELEMENTS, "elastic", "compton"]
    mean = mean_spectrum(**dict(zip(names, counts, strict=True)))
    templates = templates_of(ELEMENTS, BEAM, TRUE, 4096)
    fit = SpectrumFit(templates, mean_spectrum(**USUAL))
    spectrum = np.random.default_rng(seed).poisson(mean)
    part = fit._reduce @ spectrum[templates.first : templates.last]
    root = np.linalg.cholesky(fit._gram)
    other = nnls(root.T, np.linalg.solve(root, part))[0]
    np.testing.assert_allclose(fit(spectrum).counts, other, atol=1e-6 * max(1.0, float(spectrum.sum())))


def test_regions_hold_the_counts_of_a_line_and_what_lies_below_it() -> None:
    mean = mean_spectrum(Fe=1000, Cu=2000)
    counts, errors = RegionCounts(("Fe", "Cu"), BEAM, TRUE, 4096)(np.rint(mean))
    assert 0.7 * 1000 < counts[0] < 1000 and 0.7 * 2000 < counts[1] < 2000
    np.testing.assert_allclose(errors, np.sqrt(counts))
