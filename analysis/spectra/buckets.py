"""From the spectra of an exposure to a bucket of each chemical element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from analysis.spectra.calibration import FEWEST_COUNTS, calibrated
from analysis.spectra.fit import SpectrumFit
from analysis.spectra.lines import lines_of
from analysis.spectra.regions import RegionCounts
from analysis.spectra.response import Calibration
from analysis.spectra.templates import templates_of

MOST_DEAD = 0.5
"""Dead time from which a spectrum is saturated: the electronics then lose count of what they lose."""

MUCH_DEAD = 0.1
"""Dead time above which pile-up distorts spectra enough to be told."""

_LONGEST_LIVE = 1.01
"""Live time over real time up to which a difference counts as rounding of the electronics' clocks."""

_SILENT = 0.01
"""Part of the median counts of all detector elements below which one is dead."""


@dataclass(frozen=True)
class SpectraSetup:
    """What is known of a spectrometer before its first spectrum.

    Attributes
    ----------
    elements : tuple of str
        Chemical elements.
    beam_kev : float
        Energy of the beam.
    start : Calibration
        Energies of the bins, within some 3 %.
    bins : int
        Bins of a spectrum.
    detector_elements : int
    lowest_kev : float
        Lowest energy that is looked at.
    regions : bool
        Add up the counts around the strongest line of each element instead of a fit.
    """

    elements: tuple[str, ...]
    beam_kev: float
    start: Calibration
    bins: int = 4096
    detector_elements: int = 1
    lowest_kev: float = 1.0
    regions: bool = False

    def check(self) -> None:
        """Raise ElementUnknown if the beam excites no line of one of the elements."""
        for element in self.elements:
            lines_of(element, self.beam_kev)


@dataclass
class Told:
    """What is to be said of a scan's spectra; indices of detector elements begin at 0.

    Attributes
    ----------
    dead : list of int
        Detector elements that counted nothing, and are left out.
    uncalibrated : str or None
        Why the energies are those that were typed in.
    unusable : dict of (int, str) to int
        How many spectra of a detector element are left out, by reason.
    much_dead : dict of int to (int, float)
        Spectra of a detector element with much dead time, and the largest dead time.
    """

    dead: list[int] = field(default_factory=list)
    uncalibrated: str | None = None
    unusable: dict[tuple[int, str], int] = field(default_factory=dict)
    much_dead: dict[int, tuple[int, float]] = field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """All of it for people."""
        said = []
        if self.dead:
            names = ", ".join(str(number + 1) for number in self.dead)
            said.append(f"detector element {names} counted nothing and is left out")
        if self.uncalibrated:
            said.append(f"the energies of the bins are those of the start document: {self.uncalibrated}")
        said += [
            f"{count} spectra of detector element {number + 1} are left out: {reason}"
            for (number, reason), count in sorted(self.unusable.items())
        ]
        said += [
            f"detector element {number + 1} was dead for more than {MUCH_DEAD:.0%} of the time in {count} exposures, up to "
            f"{worst:.0%}: counts are corrected for it, pile-up is not. Less light, or a shorter peaking time, is better"
            for number, (count, worst) in sorted(self.much_dead.items())
        ]
        return said


def why_unusable(spectrum: np.ndarray, real_s: float, live_s: float) -> str | None:
    """Say why a spectrum tells nothing; None if it does."""
    if not (np.isfinite(real_s) and real_s > 0 and np.isfinite(live_s) and live_s > 0):
        return "the live time is missing or zero"
    if live_s > _LONGEST_LIVE * real_s:
        return "the live time is longer than the real time"
    if live_s < (1 - MOST_DEAD) * real_s:
        return f"saturated, dead for more than {MOST_DEAD:.0%} of the time"
    if spectrum.min() < 0:
        return "negative counts"
    return None


class SpectraToBuckets:
    """Turns the spectra of an exposure into the counts of each chemical element, once it has been calibrated.

    The counts of a detector element are divided by its live fraction; those of all elements are added up. Where one cannot be
    used, the others stand in for it, by their share of all counts.

    Parameters
    ----------
    setup : SpectraSetup
    spectra : ndarray, (R, E, bins)
        Spectra of R exposures, with those of each of E detector elements.
    real_s, live_s : ndarray, (R, E)

    Raises
    ------
    CalibrationError
        If the energies of the bins are wrong, or don't follow from the spectra; not for too few counts.
    ElementUnknown
        If the beam excites no line of one of the elements.
    """

    def __init__(self, setup: SpectraSetup, spectra: np.ndarray, real_s: np.ndarray, live_s: np.ndarray) -> None:
        self.setup, self.told = setup, Told()
        sums = np.zeros((setup.detector_elements, setup.bins))
        times = np.zeros(setup.detector_elements)
        rates = np.zeros(setup.detector_elements)
        for exposure, real, live in zip(spectra, real_s, live_s, strict=True):
            for number, counts in enumerate(exposure):
                if why_unusable(counts, real[number], live[number]) is None:
                    sums[number] += counts
                    times[number] += live[number]
        np.divide(sums.sum(axis=1), times, out=rates, where=times > 0)
        self._alive = rates > _SILENT * np.median(rates)
        if not self._alive.any():
            self._alive = times > 0
        self.told.dead = np.flatnonzero(~self._alive).tolist()
        self._share = np.where(self._alive, rates, 0.0)
        total = self._share.sum()
        self._share = self._share / total if total > 0 else self._alive / max(int(self._alive.sum()), 1)
        self.calibrations = [
            self._calibrated(counts) if alive else setup.start for counts, alive in zip(sums, self._alive, strict=True)
        ]
        self._count: list[Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = [
            self._counter(calibration, counts) for calibration, counts in zip(self.calibrations, sums, strict=True)
        ]

    def __call__(self, spectra: np.ndarray, real_s: np.ndarray, live_s: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Counts of each chemical element and their standard errors, both (C,), of one exposure; None if nothing can be used.

        Parameters
        ----------
        spectra : ndarray, (E, bins)
        real_s, live_s : ndarray, (E,)
        """
        counts, variance, share = np.zeros(len(self.setup.elements)), np.zeros(len(self.setup.elements)), 0.0
        for number in np.flatnonzero(self._alive).tolist():
            real, live = float(real_s[number]), float(live_s[number])
            why = why_unusable(spectra[number], real, live)
            if why is not None:
                self.told.unusable[number, why] = self.told.unusable.get((number, why), 0) + 1
                continue
            dead = 1 - live / real
            if dead > MUCH_DEAD:
                times, worst = self.told.much_dead.get(number, (0, 0.0))
                self.told.much_dead[number] = (times + 1, max(worst, dead))
            found, errors = self._count[number](spectra[number])
            counts += found * (real / live)
            variance += (errors * (real / live)) ** 2
            share += self._share[number]
        if share <= 0:
            return None
        return counts / share, np.sqrt(variance) / share

    def _calibrated(self, counts: np.ndarray) -> Calibration:
        setup = self.setup
        if counts.sum() < FEWEST_COUNTS:
            self.told.uncalibrated = f"{counts.sum():.0f} counts are too few for a calibration"
            return setup.start
        return calibrated(counts, setup.start, setup.elements, setup.beam_kev, lowest_kev=setup.lowest_kev)

    def _counter(self, calibration: Calibration, typical: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        setup = self.setup
        if setup.regions:
            return RegionCounts(setup.elements, setup.beam_kev, calibration, setup.bins)
        templates = templates_of(setup.elements, setup.beam_kev, calibration, setup.bins, lowest_kev=setup.lowest_kev)
        fit, wanted = SpectrumFit(templates, typical), slice(templates.elements)

        def fitted(spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            amplitudes = fit(spectrum)
            return amplitudes.counts[wanted], amplitudes.errors[wanted]

        return fitted
