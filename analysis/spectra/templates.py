"""What a spectrum is made of: one template a chemical element, the scattered beam, and a smooth background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.spectra.lines import compton_kev, lines_of
from analysis.spectra.response import Calibration, peak

ELASTIC, COMPTON = "elastic", "compton"
_BACKGROUND_KNOTS = 9
_COMPTON_WIDTH = 0.012
"""Standard deviation of the Compton peak by the electrons' motion, relative to its energy."""
_COMPTON_TAIL = 0.15
"""Part of the Compton peak in its tail: photons scattered more than once, and by other angles."""


@dataclass(frozen=True, eq=False)
class Templates:
    """The columns of a linear model of spectra, within the bins that are fitted.

    Attributes
    ----------
    names : tuple of str
        Chemical elements first, then "elastic", "compton" and the background.
    elements : int
        How many of them are chemical elements.
    first, last : int
        Bins that are fitted: first to last - 1.
    columns : ndarray, float64, (last - first, K)
        Each is the spectrum of one count of its kind, also outside these bins.
    """

    names: tuple[str, ...]
    elements: int
    first: int
    last: int
    columns: np.ndarray


def templates_of(
    elements: Sequence[str],
    beam_kev: float,
    calibration: Calibration,
    bins: int,
    *,
    lowest_kev: float = 1.0,
    free_beta: bool = False,
) -> Templates:
    """Build the templates.

    Parameters
    ----------
    elements : sequence of str
        Chemical elements, such as ["Fe", "Cu", "Pb_L"]; see `lines_of`.
    beam_kev : float
        Energy of the beam.
    calibration : Calibration
    bins : int
        Bins of a spectrum.
    lowest_kev : float
        Lowest energy that is fitted.
    free_beta : bool
        Add a template for more K-beta of each element, "Cu_beta" and so on, after all others.

    Raises
    ------
    ElementUnknown
        If the beam excites no line of an element.
    """
    highest = beam_kev + 5 * calibration.sigma_kev(beam_kev)
    first = max(0, int(np.ceil(calibration.bin_of(lowest_kev))))
    last = min(bins - 1, int(calibration.bin_of(highest)) + 1)  # the last bin of many detectors holds all that lies above
    excess = dict(calibration.beta_excess)
    whole, beta = {}, {}
    for element in elements:
        alone = [np.zeros(bins), np.zeros(bins)]
        for line in lines_of(element, beam_kev):
            alone[line.beta] += line.strength * peak(calibration, bins, line.energy_kev)
        whole[element] = alone[False] + (1 + excess.get(element, 0.0)) * alone[True]
        beta[f"{element}_beta"] = alone[True]
    whole[ELASTIC] = peak(calibration, bins, beam_kev)
    shifted = compton_kev(beam_kev, calibration.angle_deg)
    whole[COMPTON] = peak(calibration, bins, shifted, wider_kev=_COMPTON_WIDTH * shifted, more_tail=_COMPTON_TAIL)
    columns = [np.asarray(column)[first:last] for column in whole.values()]
    columns += _hats(last - first)
    names = [*whole, *(f"background{number}" for number in range(len(columns) - len(whole)))]
    if free_beta:
        names += beta
        columns += [column[first:last] for column in beta.values()]
    return Templates(tuple(names), len(elements), first, last, np.stack(columns, axis=1))


def _hats(bins: int) -> list[np.ndarray]:
    """Triangles that add up to a constant; each holds one count."""
    knots = np.linspace(0, bins - 1, _BACKGROUND_KNOTS)
    hats = [np.interp(np.arange(bins), knots, np.eye(_BACKGROUND_KNOTS)[number]) for number in range(_BACKGROUND_KNOTS)]
    return [hat / hat.sum() for hat in hats]
