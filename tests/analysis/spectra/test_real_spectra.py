"""Real spectra, measured elsewhere; each test skips where its file is absent.

- xrf_spectra.csv: 32 spectra of one sample (examples of auto-denoise, CEA, MIT).
- xrf_2ide_step_fly_std.npz: thin films at APS 2-ID-E, 10 keV (test data of XRF-Maps, BSD-3-Clause (c) 2016 UChicago Argonne).
- xrf_i18_map18x18.npz: a map at Diamond I18, 11 keV (test data of Savu, Apache-2.0).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.spectra.calibration import CalibrationError, calibrated, check_elastic_line
from analysis.spectra.fit import SpectrumFit, fitted_once
from analysis.spectra.response import Calibration
from analysis.spectra.templates import templates_of

DATA = Path(__file__).parents[4] / "shared" / "data"
FILM = ["Si", "S", "Cl", "Pd_L", "Ar", "Ca", "La_L", "Mn", "Fe", "Ni", "Cu", "Zn"]
FILM_KEV, LOWEST_KEV = 10.0, 1.3


def data_file(name: str) -> Path:
    for folder in (DATA, Path(__file__).parents[4].parent / "shared" / "data"):
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"{name} is not here")


def counts_of(
    spectrum: np.ndarray, elements: list[str], beam_kev: float, start: Calibration, lowest_kev: float
) -> dict[str, float]:
    found = calibrated(spectrum, start, elements, beam_kev, lowest_kev=lowest_kev)
    templates = templates_of(elements, beam_kev, found, len(spectrum), lowest_kev=lowest_kev)
    return dict(zip(templates.names, fitted_once(templates, spectrum), strict=True))


def test_the_elements_of_a_sample_are_named_and_the_others_are_not() -> None:
    lines = data_file("xrf_spectra.csv").read_text().splitlines()
    energies = np.array([float(cell) for cell in lines[0].split(",")[1:]])
    spectrum = np.array([[float(cell) for cell in line.split(",")[1:]] for line in lines[1:]]).sum(axis=0)
    start = Calibration(float(energies[0]), float(energies[1] - energies[0]))
    elements = ["Ar", "Ca", "Cr", "Fe", "Ni", "Cu", "Zn", "Sr", "Zr", "Nb", "Mo"]
    found = calibrated(spectrum, start, elements, 26.0, lowest_kev=1.5)
    templates = templates_of(elements, 26.0, found, len(spectrum), lowest_kev=1.5)
    amplitudes = SpectrumFit(templates, spectrum)(spectrum)
    significance = dict(zip(templates.names, amplitudes.counts / amplitudes.errors, strict=True))
    assert {name for name in elements if significance[name] > 10} >= {"Ar", "Ca", "Fe", "Cu", "Zn", "Zr", "Mo"}
    assert significance["Cr"] < 3 and significance["Ni"] < 3
    model = templates.columns @ fitted_once(templates, spectrum)
    residual = (spectrum[templates.first : templates.last] - model) / np.sqrt(np.maximum(model, 1))
    assert np.mean(residual**2) < 3.5 and np.median(np.abs(residual)) < 1.0


def test_a_uniform_film_is_flat_to_its_poisson_limit_after_live_time_first_column_included() -> None:
    with np.load(data_file("xrf_2ide_step_fly_std.npz")) as film:
        counts, live = film["fly_spectra"].sum(axis=-1, dtype=float), film["fly_livetime"]
    rate = (counts / live).sum(axis=-1)
    total = counts.sum(axis=-1)
    assert total[:, 0].mean() > 2 * total[:, 1:].mean()  # the first pixel of each line was exposed for longer
    assert rate[:, 0].mean() == pytest.approx(rate[:, 1:].mean(), rel=0.015)
    assert rate.std() / rate.mean() < 1.1 * np.sqrt((1 / total).mean())


@pytest.mark.parametrize("detector", [0, 1])
def test_concentrations_follow_from_the_standard(detector: int) -> None:
    """The film of the scan has the standard's composition: with iron as the reference the others follow within 10 %."""
    with np.load(data_file("xrf_2ide_step_fly_std.npz")) as film:
        sums = [film[f"{name}_spectra"][:, :, detector].sum(axis=(0, 1), dtype=float) for name in ("std", "fly")]
    standard, scan = (counts_of(one, FILM, FILM_KEV, Calibration(0.05, 0.0094), LOWEST_KEV) for one in sums)
    known = {"Ca": 1.931, "Fe": 0.504, "Cu": 0.284}  # ug/cm2
    for element, concentration in known.items():
        measured = scan[element] / standard[element] * concentration
        assert measured / (scan["Fe"] / standard["Fe"]) == pytest.approx(concentration, rel=0.1)


def test_a_calibration_typed_in_wrong_is_put_right() -> None:
    with np.load(data_file("xrf_2ide_step_fly_std.npz")) as film:
        spectrum = film["fly_spectra"][:, :, 0].sum(axis=(0, 1), dtype=float)
    found = calibrated(spectrum, Calibration(0.05, 0.0094), FILM, FILM_KEV, lowest_kev=LOWEST_KEV)
    assert found.offset_kev == pytest.approx(-0.0114, abs=0.01) and found.slope_kev == pytest.approx(0.0096, rel=0.002)


def test_an_axis_that_is_wrong_by_two_is_refused_with_the_slope_that_mends_it() -> None:
    with np.load(data_file("xrf_i18_map18x18.npz")) as scan:
        spectrum, axis = scan["spectra"].sum(axis=(0, 1), dtype=float), scan["energy_axis_in_file_eV"] / 1000
        beam = float(scan["beam_eV"]) / 1000
    with pytest.raises(CalibrationError, match=r"the slope is 0.040\d* keV a bin instead of 0.08"):
        check_elastic_line(spectrum, Calibration(float(axis[0]), float(axis[1] - axis[0])), beam)
    check_elastic_line(spectrum, Calibration(0.0, 0.0402), beam)
    counts = counts_of(
        spectrum, ["Cl", "Ar", "Ca", "Ti", "Mn", "Fe", "Ni", "Cu", "Zn", "Ga"], beam, Calibration(0.0, 0.0402), 1.8
    )
    assert min(counts[element] for element in ("Ar", "Ca", "Ti", "Mn", "Fe", "Ni", "Cu", "Zn")) > 1000
