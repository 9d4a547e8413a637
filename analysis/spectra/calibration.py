"""Energy calibration and peak widths, from a spectrum in which it is known what is there."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from analysis.spectra.fit import fitted_once
from analysis.spectra.response import Calibration
from analysis.spectra.templates import templates_of

_SLOPES = np.linspace(0.97, 1.03, 9)
_OFFSETS_KEV = np.linspace(-0.08, 0.08, 5)
"""What is tried before the fit: a calibration typed into the electronics may be off by as much."""
FEWEST_COUNTS = 2000
"""Counts in a spectrum below which its energies cannot be fitted."""
_BIN_KEV = 0.02
_MOST_BETA = 2.0
_MOST_TRIALS = 600
_CONVERGED = (1, 2, 3, 4, 6, 7, 8)
"""MINPACK's words for a minimum: within the tolerances, or as near as rounding allows."""
_MOST_OFF = 0.05
"""Part of the beam's energy by which the elastic line may be off before the axis counts as wrong."""


class CalibrationError(ValueError):
    """The energies of a spectrum's bins cannot be found."""


def check_elastic_line(spectrum: np.ndarray, calibration: Calibration, beam_kev: float) -> None:
    """Make sure that no peak lies far above the beam's energy, where nothing can be: the axis would be wrong.

    Parameters
    ----------
    spectrum : ndarray, (bins,)
    calibration : Calibration
        The axis that is believed.
    beam_kev : float
        Energy of the beam.

    Raises
    ------
    CalibrationError
        If the highest peak is not at the beam's energy; says with which slope it would be.
    """
    from scipy.signal import find_peaks  # takes a while to load, and every service loads this module

    smooth = np.convolve(np.asarray(spectrum, dtype=np.float64), np.full(3, 1 / 3), mode="same")
    floor = max(9.0 * np.sqrt(smooth.max()), 0.002 * smooth.max())
    peaks, _ = find_peaks(smooth, prominence=floor)
    if not len(peaks):
        return
    last = int(peaks[-1])
    energy = float(calibration.energies(len(smooth))[last])
    if energy > (1 + _MOST_OFF) * beam_kev:
        slope = (beam_kev - calibration.offset_kev) / last
        raise CalibrationError(
            f"the energy axis is wrong: the last peak of the spectrum, in bin {last}, is at {energy:.2f} keV by the axis, and no "
            f"photon can have more than the beam's {beam_kev:.2f} keV. If that is the elastic line, the slope is {slope:.5g} keV "
            f"a bin instead of {calibration.slope_kev:.5g}"
        )


def calibrated(
    spectrum: np.ndarray, start: Calibration, elements: Sequence[str], beam_kev: float, *, lowest_kev: float = 1.0
) -> Calibration:
    """Find offset, slope and width of the peaks by a fit of all templates (lmfit, least squares with Poisson weights).

    Parameters
    ----------
    spectrum : ndarray, (bins,)
        Counts, many, such as the sum over a scan.
    start : Calibration
        What is believed before, within some 3 %.
    elements : sequence of str
        What may be there. Elements that aren't do no harm.
    beam_kev : float
        Energy of the beam.
    lowest_kev : float
        Lowest energy that is used.

    Raises
    ------
    CalibrationError
        If there are too few counts, if the axis is wrong, or if the fit doesn't converge; says which, and what to do.
    """
    whole = np.asarray(spectrum, dtype=np.float64)
    total = float(whole.sum())
    if not total >= FEWEST_COUNTS:
        raise CalibrationError(f"{total:.0f} counts are too few for an energy calibration, which needs {FEWEST_COUNTS}")
    check_elastic_line(whole, start, beam_kev)
    # Peaks are much wider than bins of 5 eV: wider bins say the same in a quarter of the time.
    factor = max(1, int(_BIN_KEV / start.slope_kev))
    counts = whole[: len(whole) // factor * factor].reshape(-1, factor).sum(axis=1)
    root = np.sqrt(np.maximum(np.convolve(counts, np.full(5, 0.2), mode="same"), 1.0))

    def misfit(trial: Calibration) -> np.ndarray:
        templates = templates_of(elements, beam_kev, trial.rebinned(factor), len(counts), lowest_kev=lowest_kev, free_beta=True)
        missed = np.zeros(len(counts))  # of all bins, whatever the trial: the number of residuals must not change
        part = slice(templates.first, templates.last)
        missed[part] = templates.columns @ fitted_once(templates, counts) - counts[part]
        above = counts[templates.last :]
        missed[templates.last :] = np.minimum(above, 1.0 + np.sqrt(above))
        return missed / root

    trials = (
        replace(start, slope_kev=start.slope_kev * slope, offset_kev=start.offset_kev + offset)
        for slope in _SLOPES
        for offset in _OFFSETS_KEV
    )
    found = _fitted(misfit, min(trials, key=lambda trial: float(np.sum(misfit(trial) ** 2))), elements)
    return replace(found, beta_excess=_beta_excess(counts, found.rebinned(factor), elements, beam_kev, lowest_kev))


def _beta_excess(
    counts: np.ndarray, found: Calibration, elements: Sequence[str], beam_kev: float, lowest_kev: float
) -> tuple[tuple[str, float], ...]:
    """By how much each element has more K-beta than theory says, of those with counts enough to tell."""
    templates = templates_of(elements, beam_kev, found, len(counts), lowest_kev=lowest_kev, free_beta=True)
    amounts = dict(zip(templates.names, fitted_once(templates, counts), strict=True))
    excess = {element: amounts[f"{element}_beta"] / amounts[element] for element in elements if amounts[element] >= FEWEST_COUNTS}
    return tuple((element, min(float(part), _MOST_BETA)) for element, part in excess.items() if part > 0)


def _fitted(misfit: Callable[[Calibration], np.ndarray], first: Calibration, elements: Sequence[str]) -> Calibration:
    """The calibration with the least squared misfit near a first one."""
    import lmfit

    parameters = lmfit.Parameters()
    parameters.add("offset_kev", first.offset_kev, min=first.offset_kev - 0.1, max=first.offset_kev + 0.1)
    parameters.add("slope_kev", first.slope_kev, min=0.97 * first.slope_kev, max=1.03 * first.slope_kev)
    parameters.add("noise_kev", first.noise_kev, min=0.005, max=0.3)
    parameters.add("fano", first.fano, min=0.05, max=0.5)
    parameters.add("tail", first.tail, min=0.0, max=0.3)
    parameters.add("angle_deg", first.angle_deg, min=30.0, max=180.0)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lmfit, where a width is at its limit and has no error
        result = lmfit.minimize(
            lambda values: misfit(replace(first, **values.valuesdict())),
            parameters,
            max_nfev=_MOST_TRIALS,
            ftol=1e-5,
            xtol=1e-5,
            epsfcn=1e-10,
        )
    if result.aborted or result.ier not in _CONVERGED:
        raise CalibrationError(
            f"the energy calibration does not converge ({result.message}): are {', '.join(elements)} what is in the sample?"
        )
    return replace(first, **result.params.valuesdict())
